//! A TCP proxy before Postgres that cuts connections where it is told to, and lets them hang:
//! neither closed nor answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::wire::{Conversation, Event, Frames, Kind, Place};

/// Under load, whatever a cut is aimed at passes sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a client begins to listen.
const LISTEN: &[u8] = b"LISTEN \"";

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
    links: Mutex<HashMap<u64, Arc<Link>>>,
    links_made: AtomicU64,
    /// Whether what is made from now on hangs.
    hangs: AtomicBool,
}

/// One connection of a client.
struct Link {
    client: String,
    cut: CancellationToken,
    /// While it holds, nothing passes, not even the end.
    hangs: watch::Sender<bool>,
    /// Whether the client listens for notices on it.
    listens: AtomicBool,
}

impl Link {
    async fn passes(&self) {
        let _ = self.hangs.subscribe().wait_for(|hangs| !hangs).await;
    }
}

/// Which connections hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hang {
    /// All that there are; new ones work.
    Existing,
    /// All that there are and all that come.
    Everything,
    /// Every other one that there is; new ones work.
    Half,
    /// Those on which clients listen for notices.
    Listening,
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
        *self.shared.aim.lock() = Some(Aim { event: (kind, place), loses, hit });
        tokio::time::timeout(LONGEST_WAIT, cut)
            .await
            .unwrap_or_else(|_| {
                panic!("no {kind:?} ({place:?}) passed; has its SQL other words by now? (wire.rs)")
            })
            .expect("an aim is only replaced when it was hit");
    }

    /// Cuts all connections of all clients; new ones lead to the server on this port, or, with 0,
    /// nowhere.
    pub(crate) fn lead_to(&self, port: u16) {
        self.server.store(port, Ordering::SeqCst);
        self.shared.links.lock().values().for_each(|link| link.cut.cancel());
    }

    /// Cuts all connections of a client at once; how many there were.
    pub(crate) fn cut_all(&self, client: &str) -> usize {
        let links = self.shared.links.lock();
        links.values().filter(|link| link.client == client).inspect(|link| link.cut.cancel()).count()
    }

    /// Lets connections hang until [`thaw`](Self::thaw); how many there were.
    pub(crate) fn hang(&self, which: Hang) -> usize {
        self.shared.hangs.store(which == Hang::Everything, Ordering::SeqCst);
        let links = self.shared.links.lock();
        let hit = |(id, link): &(&u64, &Arc<Link>)| match which {
            Hang::Existing | Hang::Everything => true,
            Hang::Half => *id % 2 == 0,
            Hang::Listening => link.listens.load(Ordering::SeqCst),
        };
        links.iter().filter(hit).inspect(|(_, link)| _ = link.hangs.send_replace(true)).count()
    }

    /// On how many connections clients listen.
    pub(crate) fn listening(&self) -> usize {
        let links = self.shared.links.lock();
        links.values().filter(|link| link.listens.load(Ordering::SeqCst)).count()
    }

    /// What was held back goes on its way.
    pub(crate) fn thaw(&self) {
        self.shared.hangs.store(false, Ordering::SeqCst);
        for link in self.shared.links.lock().values() {
            link.hangs.send_replace(false);
        }
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
    let link = {
        let mut links = shared.links.lock();
        let hangs = watch::Sender::new(shared.hangs.load(Ordering::SeqCst));
        let link = Arc::new(Link { client, cut, hangs, listens: AtomicBool::new(false) });
        links.insert(id, link.clone());
        link
    };
    let (from_client, to_client) = stream.into_split();
    let (from_server, to_server) = upstream.into_split();
    let mute = AtomicBool::new(false);
    let either_ends = async {
        tokio::select! {
            () = requests(&shared, &link, &mute, from_client, to_server) => {}
            () = answers(&link, &mute, from_server, to_client) => {}
        }
        link.passes().await;
    };
    tokio::select! {
        () = either_ends => {}
        () = link.cut.cancelled() => {}
    }
    shared.links.lock().remove(&id);
}

/// Forwards what the client says, until it ends or a cut is due.
async fn requests(
    shared: &Shared,
    link: &Link,
    mute: &AtomicBool,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) {
    let mut chunk = vec![0; 64 * 1024];
    let (mut frames, mut conversation) = (Frames::of_client(), Conversation::default());
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        link.passes().await;
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
            if message.windows(LISTEN.len()).take(8).any(|words| words == LISTEN) {
                link.listens.store(true, Ordering::SeqCst);
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
    shared.aim.lock().take_if(|aim| events.contains(&aim.event))
}

/// Forwards what the server says; once muted, nothing more, and ends when the server is done with
/// the request.
async fn answers(link: &Link, mute: &AtomicBool, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut chunk = vec![0; 64 * 1024];
    let mut frames = Frames::of_server();
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        link.passes().await;
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
