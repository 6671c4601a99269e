//! A TCP proxy before Postgres that cuts connections where it is told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::wire::{Conversation, Event, Frames, Kind, Place};

/// Under load, whatever a cut is aimed at passes sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Which way of a message a cut interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Loses {
    /// The server never gets it.
    Request,
    /// The server has done it; the client never hears of it.
    Answer,
}

struct Aim {
    event: Event,
    loses: Loses,
    hit: oneshot::Sender<()>,
}

#[derive(Default)]
struct Shared {
    aim: Mutex<Option<Aim>>,
    links: Mutex<HashMap<u64, (String, CancellationToken)>>,
    links_made: AtomicU64,
}

/// Stops listening and cuts everything when dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    server: Arc<AtomicU16>,
    stop: CancellationToken,
}

impl Proxy {
    pub(crate) fn new(server: u16) -> Self {
        Self { shared: Arc::default(), server: Arc::new(server.into()), stop: CancellationToken::new() }
    }

    /// A port of its own for a client, so that its connections are known.
    pub(crate) async fn listen(&self, client: &str) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shared, server, stop) = (self.shared.clone(), self.server.clone(), self.stop.clone());
        let client = client.to_owned();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.cancelled() => return,
                };
                let Ok((stream, _)) = accepted else { continue };
                let server = server.load(Ordering::SeqCst);
                tokio::spawn(link(shared.clone(), client.clone(), stream, server, stop.child_token()));
            }
        });
        port
    }

    /// Cuts the next connection on which this passes.
    pub(crate) async fn cut(&self, kind: Kind, place: Place, loses: Loses) {
        let (hit, cut) = oneshot::channel();
        *self.shared.aim.lock().unwrap() = Some(Aim { event: (kind, place), loses, hit });
        tokio::time::timeout(LONGEST_WAIT, cut)
            .await
            .unwrap_or_else(|_| {
                panic!("no {kind:?} ({place:?}) passed; has its SQL other words by now? (wire.rs)")
            })
            .expect("an aim is only replaced when it was hit");
    }

    /// Cuts all connections of all clients; new ones lead to the server on this port, or, with 0, nowhere.
    pub(crate) fn lead_to(&self, port: u16) {
        self.server.store(port, Ordering::SeqCst);
        self.shared.links.lock().unwrap().values().for_each(|(_, cut)| cut.cancel());
    }

    /// Cuts all connections of a client at once; how many there were.
    pub(crate) fn cut_all(&self, client: &str) -> usize {
        let links = self.shared.links.lock().unwrap();
        links.values().filter(|(name, _)| name == client).inspect(|(_, cut)| cut.cancel()).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One connection, until either side ends it or it is cut.
async fn link(shared: Arc<Shared>, client: String, stream: TcpStream, server: u16, cut: CancellationToken) {
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let _ = (stream.set_nodelay(true), upstream.set_nodelay(true));
    let id = shared.links_made.fetch_add(1, Ordering::Relaxed);
    shared.links.lock().unwrap().insert(id, (client, cut.clone()));
    let (from_client, to_client) = stream.into_split();
    let (from_server, to_server) = upstream.into_split();
    let mute = AtomicBool::new(false);
    tokio::select! {
        () = requests(&shared, &mute, from_client, to_server) => {}
        () = answers(&mute, from_server, to_client) => {}
        () = cut.cancelled() => {}
    }
    shared.links.lock().unwrap().remove(&id);
}

/// Forwards what the client says, until it ends or a cut is due.
async fn requests(shared: &Shared, mute: &AtomicBool, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut chunk = vec![0; 64 * 1024];
    let (mut frames, mut conversation) = (Frames::of_client(), Conversation::default());
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        frames.push(&chunk[..count]);
        let mut forward = Vec::new();
        while let Some(message) = frames.next() {
            let events = conversation.hear(&message);
            if let Some(aim) = hit(shared, &events) {
                let _ = aim.hit.send(());
                match aim.loses {
                    Loses::Request => return,
                    Loses::Answer => mute.store(true, Ordering::SeqCst),
                }
            }
            forward.extend(message);
        }
        if to.write_all(&forward).await.is_err() {
            return;
        }
    }
}

fn hit(shared: &Shared, events: &[Event]) -> Option<Aim> {
    if events.is_empty() {
        return None;
    }
    shared.aim.lock().unwrap().take_if(|aim| events.contains(&aim.event))
}

/// Forwards what the server says; once muted, nothing more, and ends when the server is done with the request.
async fn answers(mute: &AtomicBool, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut chunk = vec![0; 64 * 1024];
    let mut frames = Frames::of_server();
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        frames.push(&chunk[..count]);
        let mut forward = Vec::new();
        while let Some(message) = frames.next() {
            if !mute.load(Ordering::SeqCst) {
                forward.extend(message);
            } else if message[0] == b'Z' {
                return;
            }
        }
        if to.write_all(&forward).await.is_err() {
            return;
        }
    }
}
