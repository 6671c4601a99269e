//! The sockets of this process that lead to the database.
//!
//! sqlx opens them and keeps them to itself, and much of what it does on them has no deadline: the
//! question to a connection that comes back to its pool, for one. A socket that is closed under it
//! ends all of that at once, with an error that everybody handles anyway.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, SocketAddrUnix, getpeername, shutdown, sockopt};
use sqlx::postgres::PgConnectOptions;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long the name of the database's host may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(2);

/// Without a word for so long, the other host is asked whether it is there; then again, and at last
/// given up.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);

/// What the other host has not taken for so long, in milliseconds, ends a connection.
const UNTAKEN_MS: u32 = 20_000;

/// How often it is looked up.
const LOOKED_UP: Duration = Duration::from_secs(30);

/// Where the database is.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
    port: u16,
    /// Of a server on this machine that is reached by a file.
    file: Option<PathBuf>,
    /// All that the name has stood for: what was opened earlier may lead to an earlier one.
    addresses: HashSet<IpAddr>,
    looked_up: Option<Instant>,
}

impl Place {
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        let (host, port) = (options.get_host(), options.get_port());
        let folder = options.get_socket().cloned().or_else(|| host.starts_with('/').then(|| host.into()));
        let file = folder.map(|folder| folder.join(format!(".s.PGSQL.{port}")));
        let host = host.trim_matches(['[', ']']).to_owned();
        Self { host, port, file, addresses: HashSet::new(), looked_up: None }
    }

    /// The database may be elsewhere by now.
    pub(super) fn follow(&mut self, options: &PgConnectOptions) {
        let now = Self::new(options);
        if (&self.host, self.port, &self.file) != (&now.host, now.port, &now.file) {
            *self = now;
        }
    }

    /// Those that are open now.
    pub(super) async fn sockets(&mut self) -> Vec<Socket> {
        if self.file.is_none() && self.looked_up.is_none_or(|at| at.elapsed() > LOOKED_UP) {
            if let Ok(Ok(found)) = timeout(LOOKUP, lookup_host((self.host.as_str(), self.port))).await {
                self.addresses.extend(found.map(|it| it.ip()));
            }
            self.looked_up = Some(Instant::now());
        }
        open_files().filter_map(duplicate).filter(|fd| self.leads_here(fd)).map(Socket).collect()
    }

    fn leads_here(&self, fd: &OwnedFd) -> bool {
        let Ok(Some(peer)) = getpeername(fd) else { return false };
        if let Some(file) = &self.file {
            let Ok(peer) = SocketAddrUnix::try_from(peer) else { return false };
            return peer.path().is_some_and(|path| path.to_bytes() == file.as_os_str().as_encoded_bytes());
        }
        let known = |peer: SocketAddr| peer.port() == self.port && self.addresses.contains(&peer.ip());
        SocketAddr::try_from(peer).is_ok_and(known)
    }
}

/// A second handle on a socket that somebody else uses.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Whoever waits on it is told that the connection has ended.
    pub(super) fn close(&self) {
        // It may have ended by itself.
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// Has the kernel notice a host that has vanished. That is a help and no need: what is asked
    /// has deadlines.
    pub(super) fn keep_alive(&self) {
        if sockopt::socket_keepalive(&self.0).unwrap_or(true) {
            return;
        }
        let (idle, interval, count) = KEEPALIVE;
        let _ = sockopt::set_socket_keepalive(&self.0, true);
        let _ = sockopt::set_tcp_keepidle(&self.0, idle);
        let _ = sockopt::set_tcp_keepintvl(&self.0, interval);
        let _ = sockopt::set_tcp_keepcnt(&self.0, count);
        #[cfg(target_os = "linux")]
        let _ = sockopt::set_tcp_user_timeout(&self.0, UNTAKEN_MS);
    }
}

/// The numbers of all that this process has open.
fn open_files() -> impl Iterator<Item = RawFd> {
    let entries = std::fs::read_dir("/dev/fd").into_iter().flatten().flatten();
    let numbers: Vec<RawFd> = entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    numbers.into_iter()
}

/// None where it was closed meanwhile. What became of the number in between is seen by where the
/// duplicate leads.
#[expect(
    unsafe_code,
    reason = "sqlx gives no access to its sockets, and the system names open files by number only"
)]
fn duplicate(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the borrowed number is used for this one system call, which fails where the file is
    // closed by now, and for nothing else.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 0).ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

    use super::*;

    #[tokio::test]
    async fn only_what_leads_to_the_database_is_found_and_closed() {
        let [ours, other] = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let (to_us, to_other) = (ours.local_addr().unwrap(), other.local_addr().unwrap());
        let mut first = TcpStream::connect(to_us).await.unwrap();
        let mut second = TcpStream::connect(to_other).await.unwrap();
        let _ends = (ours.accept().await.unwrap(), other.accept().await.unwrap());
        let mut place =
            Place::new(&PgConnectOptions::new_without_pgpass().host("localhost").port(to_us.port()));
        let found = place.sockets().await;
        assert!(!found.is_empty());
        found.iter().for_each(Socket::keep_alive);
        assert!(sockopt::socket_keepalive(&first).unwrap() && !sockopt::socket_keepalive(&second).unwrap());
        found.iter().for_each(Socket::close);
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        let quiet = timeout(Duration::from_millis(20), second.read(&mut [0])).await;
        assert!(quiet.is_err(), "the other one is open");
    }

    #[tokio::test]
    async fn a_server_behind_a_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.6000")).unwrap();
        let mut stream = UnixStream::connect(folder.path().join(".s.PGSQL.6000")).await.unwrap();
        let _end = listener.accept().await.unwrap();
        let options = PgConnectOptions::new_without_pgpass().port(6000);
        let found = Place::new(&options.clone().socket(folder.path())).sockets().await;
        assert!(!found.is_empty());
        found.iter().for_each(Socket::close);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}
