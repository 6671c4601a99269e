//! Who is connected, since when each does what it does, and who has to go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// From the first byte of a request, or from the connection's begin, to the end of its head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// From an answer to the next request; longer than the minute for which proxies keep theirs, so
/// that they are the ones to close.
const IDLE_LIMIT: Duration = Duration::from_secs(75);

/// From the head to the end of the body.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// For so long a caller may take nothing of its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// A caller whom nobody knows and whose answer takes longer than this makes room for others,
/// however much of it is taken now and then.
const SLOW: Duration = Duration::from_secs(5);

/// Connections of all, beyond which only probes are answered: who looks whether we live gets an
/// answer however many others wait for theirs.
const RESERVE: usize = 8;

/// Marks a request that came over a connection of the reserve: its answer is an error, unless it is
/// a probe.
#[derive(Debug, Clone, Copy)]
pub struct Reserved;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request's head is on its way, or is waited for at the beginning.
    Head,
    /// Its body is.
    Body,
    /// It is worked on, or its answer is on its way.
    Answer,
    /// It was answered; the next one has not begun.
    Idle,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the caller takes nothing of what is written.
    blocked: Option<Instant>,
    /// Whether somebody with a right credential uses it.
    known: bool,
    /// In whose share it is while a request is answered.
    holder: Option<Holder>,
}

/// One of those who have a share of the connections each.
type Holder = Uuid;

impl State {
    fn is_overdue(&self, now: Instant) -> bool {
        let limit = match self.phase {
            Phase::Head => Some(HEAD_LIMIT),
            Phase::Body => Some(BODY_LIMIT),
            Phase::Idle => Some(IDLE_LIMIT),
            Phase::Answer => None,
        };
        limit.is_some_and(|limit| now.duration_since(self.since) >= limit)
            || self.blocked.is_some_and(|since| now.duration_since(since) >= WRITE_LIMIT)
    }

    /// How soon it has to make room, the least first; none for one that is worked on for somebody
    /// known, or not for long.
    fn rank(&self, now: Instant) -> Option<(u8, Instant)> {
        let is_slow = now.duration_since(self.since) >= SLOW;
        let class = match (self.known, self.phase) {
            (false, Phase::Head | Phase::Body | Phase::Idle) => 0,
            (false, Phase::Answer) if is_slow => 0,
            (true, Phase::Idle) => 1,
            (true, Phase::Head | Phase::Body) => 2,
            (_, Phase::Answer) => return None,
        };
        Some((class, self.since))
    }
}

/// One connection of a caller. What happens on it is noted here.
#[derive(Debug)]
pub struct Connection {
    state: Mutex<State>,
    /// Only probes are answered on it.
    pub(super) is_reserved: bool,
    /// Cancelled when it has to go.
    pub(super) gone: CancellationToken,
    shares: Arc<Shares>,
}

impl Connection {
    fn new(is_reserved: bool, shares: Arc<Shares>) -> Self {
        let state =
            State { phase: Phase::Head, since: Instant::now(), blocked: None, known: false, holder: None };
        Self { state: Mutex::new(state), is_reserved, gone: CancellationToken::new(), shares }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
    }

    /// The caller has a right credential.
    pub fn is_known(&self) {
        self.state().known = true;
    }

    /// The caller has a right credential, and the connection is one of its share until this request
    /// is answered; `false` where that is used up.
    pub fn is_of(&self, holder: Holder) -> bool {
        let mut state = self.state();
        if state.holder != Some(holder) {
            if !self.shares.take(holder) {
                return false;
            }
            if let Some(before) = state.holder.replace(holder) {
                self.shares.give_back(before);
            }
        }
        state.known = true;
        true
    }

    /// Bytes came.
    pub(super) fn read(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Head, Instant::now());
        }
    }

    /// The caller took bytes, or takes none.
    pub(super) fn wrote(&self, is_blocked: bool) {
        let mut state = self.state();
        if !is_blocked {
            state.blocked = None;
        } else if state.blocked.is_none() {
            state.blocked = Some(Instant::now());
        }
    }

    /// A request's head is there.
    pub(super) fn asked(&self, has_body: bool) {
        self.enter(if has_body { Phase::Body } else { Phase::Answer });
    }

    /// A request's body is there, or nobody wants it.
    pub(super) fn body_ended(&self) {
        if self.state().phase == Phase::Body {
            self.enter(Phase::Answer);
        }
    }

    /// An answer is written, but for what the caller has still to take. A connection that is only
    /// kept for the next request is in nobody's share.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        (state.phase, state.since) = (Phase::Idle, Instant::now());
        if let Some(holder) = state.holder.take() {
            self.shares.give_back(holder);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(holder) = self.state().holder.take() {
            self.shares.give_back(holder);
        }
    }
}

/// How many connections each holder has, of which none may have more than a share: one key's
/// streams of events must not be all that there is room for.
#[derive(Debug)]
struct Shares {
    most: usize,
    taken: Mutex<HashMap<Holder, usize>>,
}

impl Shares {
    fn taken(&self) -> MutexGuard<'_, HashMap<Holder, usize>> {
        self.taken.lock()
    }

    fn take(&self, holder: Holder) -> bool {
        let mut taken = self.taken();
        let count = taken.entry(holder).or_default();
        let has_room = *count < self.most;
        *count += usize::from(has_room);
        has_room
    }

    fn give_back(&self, holder: Holder) {
        let mut taken = self.taken();
        if let Some(count) = taken.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&holder);
            }
        }
    }
}

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct Table {
    most: usize,
    entries: Mutex<Entries>,
    /// A connection was closed.
    freed: Notify,
    shares: Arc<Shares>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    connections: BTreeMap<u64, Arc<Connection>>,
}

impl Table {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let most = most.max(2 * RESERVE);
        let shares = Shares { most: (most - RESERVE) / 3 + 1, taken: Mutex::default() };
        Arc::new(Self { most, entries: Mutex::default(), freed: Notify::new(), shares: Arc::new(shares) })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }

    /// A place for one more connection; none where all are taken by requests that are worked on.
    /// Waits for the moment in which one that has to go is closed: its file counts until then.
    pub(super) async fn admit(self: &Arc<Self>) -> Option<Place> {
        while self.entries().makes_room(self.most - RESERVE) {
            self.freed.notified().await;
        }
        let mut entries = self.entries();
        let taken = entries.connections.len();
        if taken >= self.most {
            return None;
        }
        let is_reserved = taken >= self.most - RESERVE;
        let connection = Arc::new(Connection::new(is_reserved, self.shares.clone()));
        let id = entries.next;
        entries.next += 1;
        entries.connections.insert(id, connection.clone());
        drop(entries);
        Some(Place { id, connection, table: self.clone() })
    }

    /// Makes room for up to `count`.
    pub(super) fn evict(&self, count: usize) {
        let mut entries = self.entries();
        for _ in 0..count {
            entries.evict_one();
        }
    }

    /// Closes connections that keep us waiting for too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        for connection in self.entries().connections.values() {
            if connection.state().is_overdue(now) {
                connection.gone.cancel();
            }
        }
    }
}

impl Entries {
    /// Whether one of `most` places is about to be free; one connection goes for it where all are
    /// taken.
    fn makes_room(&mut self, most: usize) -> bool {
        if self.connections.len() < most {
            return false;
        }
        self.connections.values().any(|it| it.gone.is_cancelled()) || self.evict_one()
    }

    /// Whether there was one that could go.
    fn evict_one(&mut self) -> bool {
        let now = Instant::now();
        let staying = self.connections.iter().filter(|(_, it)| !it.gone.is_cancelled());
        let ranked = staying.filter_map(|(id, it)| Some((it.state().rank(now)?, *id)));
        let Some((_, id)) = ranked.min() else { return false };
        self.connections[&id].gone.cancel();
        true
    }
}

/// A connection's place, free again when this is dropped.
pub(super) struct Place {
    id: u64,
    pub(super) connection: Arc<Connection>,
    table: Arc<Table>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.entries().connections.remove(&self.id);
        self.table.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(place: &Place, by: Duration) -> bool {
        place.connection.state().is_overdue(Instant::now() + by)
    }

    /// A place, for which the connection that has to go closes at once.
    async fn admit(table: &Arc<Table>, places: &mut Vec<Option<Place>>) -> Option<usize> {
        let admitted = table.admit();
        let closing = async {
            tokio::task::yield_now().await;
            for place in places.iter_mut() {
                place.take_if(|place| place.connection.gone.is_cancelled());
            }
        };
        let (place, ()) = tokio::join!(admitted, closing);
        places.push(Some(place?));
        Some(places.len() - 1)
    }

    #[tokio::test]
    async fn each_phase_has_its_limit() {
        let table = Table::new(100);
        let place = table.admit().await.unwrap();
        assert!(!later(&place, Duration::from_secs(9)) && later(&place, Duration::from_secs(10)));
        place.connection.asked(true);
        assert!(!later(&place, Duration::from_secs(29)) && later(&place, Duration::from_secs(30)));
        place.connection.body_ended();
        assert!(!later(&place, Duration::from_hours(1)), "it waits for us");
        place.connection.wrote(true);
        place.connection.wrote(true);
        assert!(!later(&place, Duration::from_secs(29)) && later(&place, Duration::from_secs(30)));
        place.connection.wrote(false);
        assert!(!later(&place, Duration::from_hours(1)), "a quiet stream of events");
        place.connection.answered();
        place.connection.body_ended();
        assert!(!later(&place, Duration::from_secs(74)) && later(&place, Duration::from_secs(75)));
        place.connection.read();
        assert!(later(&place, Duration::from_secs(10)), "a head that has begun has to end");
    }

    #[tokio::test]
    async fn no_holder_has_more_than_its_share() {
        let table = Table::new(38);
        let mut places = Vec::new();
        for _ in 0..20 {
            places.push(table.admit().await.unwrap());
        }
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let share = places.iter().filter(|place| place.connection.is_of(one)).count();
        assert_eq!(share, 11);
        assert!(places[0].connection.is_of(one), "the next request on the same connection");
        assert!(places[19].connection.is_of(other), "another holder");
        assert!(places[0].connection.is_of(other), "the same connection, now another's");
        assert!(places[18].connection.is_of(one), "that one is free again");
        assert!(!places[17].connection.is_of(one));
        for place in &places {
            place.connection.answered();
        }
        assert!(table.shares.taken().is_empty(), "kept for the next request, they are in nobody's share");
        let again = |holder| places.iter().filter(|place| place.connection.is_of(holder)).count();
        assert_eq!((again(one), places[19].connection.is_of(other)), (share, true));
        drop(places);
        assert!(table.shares.taken().is_empty());
    }

    #[tokio::test]
    async fn a_stranger_whose_answer_takes_long_makes_room() {
        let table = Table::new(100);
        let place = table.admit().await.unwrap();
        let rank = |by: Duration| place.connection.state().rank(Instant::now() + by);
        place.connection.asked(false);
        assert!(rank(Duration::from_secs(4)).is_none());
        // It drains a little now and then, so that it never counts as one that takes nothing.
        place.connection.wrote(true);
        place.connection.wrote(false);
        assert_eq!(rank(Duration::from_secs(5)).map(|(class, _)| class), Some(0));
        place.connection.is_known();
        assert!(rank(Duration::from_hours(1)).is_none(), "somebody known may take their time");
    }

    #[tokio::test]
    async fn strangers_make_room_first_and_who_waits_for_us_never() {
        let table = Table::new(0);
        let general = table.most - RESERVE;
        let mut places = Vec::new();
        for at in 0..general {
            admit(&table, &mut places).await.unwrap();
            let connection = &places[at].as_ref().unwrap().connection;
            connection.asked(false);
            if at > 1 {
                connection.is_known();
            }
        }
        let connection =
            |places: &[Option<Place>], at: usize| places[at].as_ref().unwrap().connection.clone();
        connection(&places, 3).answered();
        connection(&places, 1).answered();
        let gone = |places: &[Option<Place>]| -> Vec<usize> {
            (0..places.len()).filter(|at| places[*at].is_none()).collect()
        };
        admit(&table, &mut places).await.unwrap();
        assert_eq!(gone(&places), [1], "a stranger, though it came later than the known one");
        let last = admit(&table, &mut places).await.unwrap();
        assert_eq!(gone(&places), [1, general], "who has not asked yet is a stranger too");
        connection(&places, last).asked(false);
        let last = admit(&table, &mut places).await.unwrap();
        assert_eq!(gone(&places), [1, 3, general]);
        connection(&places, last).asked(false);
        assert!(!places.iter().flatten().any(|place| place.connection.is_reserved));
        for _ in 0..RESERVE {
            let last = admit(&table, &mut places).await.unwrap();
            assert!(connection(&places, last).is_reserved, "only for probes");
            connection(&places, last).asked(false);
        }
        assert!(admit(&table, &mut places).await.is_none());
        assert_eq!(gone(&places), [1, 3, general]);
        places[0] = None;
        assert!(admit(&table, &mut places).await.is_some(), "a place is free again");
    }
}
