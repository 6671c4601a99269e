//! Accepts connections and answers what comes on them, by HTTP/1.1 alone.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Watched;
use super::stream::Stream;
use super::table::{Connection, Place, Reserved, Table};

/// Largest head of a request, in bytes; its target alone may have 64 KiB.
const HEAD_BYTES: usize = 96 * 1024;

/// Connections that make room at once when the process has no file left for another one.
const AT_ONCE: usize = 8;

/// Serves `router` on up to `most` connections until `shutdown`; then requests under way may end.
pub async fn serve(listener: TcpListener, router: Router, most: usize, shutdown: CancellationToken) {
    let (table, tasks) = (Table::new(most), TaskTracker::new());
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => {
                    // Where there is no place the socket is closed at once.
                    if let Some(place) = table.admit().await {
                        tasks.spawn(attend(socket, peer, place, router.clone(), shutdown.clone()));
                    }
                }
                Err(error) => after(&error, &table).await,
            }
        }
    };
    let sweeping = async {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            table.sweep();
        }
    };
    {
        let mut sweeping = pin!(sweeping);
        tokio::select! {
            () = accepting => {}
            () = &mut sweeping => {}
            () = shutdown.cancelled() => {}
        }
        // Who comes now is refused, rather than left to wait.
        drop(listener);
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = sweeping => {}
        }
    }
}

/// What to do after a connection could not be accepted.
async fn after(error: &io::Error, table: &Table) {
    let is_full = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    if is_full {
        tracing::warn!(%error, "no room for another connection: closing some that are not in use");
        table.evict(AT_ONCE);
        sleep(Duration::from_millis(100)).await;
    } else if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        tracing::error!(%error, "could not accept a connection; trying again");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Answers the requests of one connection.
async fn attend(
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
    router: Router,
    shutdown: CancellationToken,
) {
    let connection = place.connection.clone();
    let io = TokioIo::new(Stream::new(socket, connection.clone()));
    let router = TowerToHyperService::new(router);
    let service = service_fn(async |request| answer(request, peer, &connection, &router).await);
    // Its own timer would close idle connections as early as slow heads; the table has both.
    let conn = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, service);
    let mut conn = pin!(conn);
    let mut is_told = false;
    loop {
        tokio::select! {
            ended = conn.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, %peer, "a connection broke off");
                }
                return;
            }
            () = connection.gone.cancelled() => return,
            () = shutdown.cancelled(), if !is_told => {
                is_told = true;
                conn.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    connection: &Arc<Connection>,
    router: &TowerToHyperService<Router>,
) -> Result<Response<Watched<axum::body::Body>>, Infallible> {
    connection.asked(!request.body().is_end_stream());
    let mut request = request.map(|body| Watched::new(body, connection.clone(), Connection::body_ended));
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(connection.clone());
    if connection.is_reserved {
        request.extensions_mut().insert(Reserved);
    }
    let answer = router.call(request).await?;
    let mut answer = answer.map(|body| Watched::new(body, connection.clone(), Connection::answered));
    if connection.is_reserved {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}
