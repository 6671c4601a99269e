//! Limits how many passwords are checked at once: each check takes a processor 20 ms and 19 MiB, on
//! purpose. Waiting requests go by their standing, and among equals round-robin by address and
//! email, so that a flood delays only its sender.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::limits::{Short, Standing};

/// Most who wait; beyond, those with the worst place are told to come again.
const MOST_WAITING: usize = 64;

/// The longest anybody waits for their turn.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

type Lane = (Short, Option<IpAddr>);

/// By standing; then who has the fewest before them in their own lane; then who came first.
type Place = (Standing, usize, u64);

struct Waiting {
    place: Place,
    lane: Lane,
    turn: oneshot::Sender<Turn>,
}

struct Line {
    /// Turns that nobody has.
    free: usize,
    waiting: Vec<Waiting>,
    came: u64,
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct HashQueue(Arc<Mutex<Line>>);

impl HashQueue {
    /// On half of the processors, so that the other half is left for all else.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_turns(processors.div_ceil(2))
    }

    fn with_turns(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Line { free, waiting: Vec::new(), came: 0 })))
    }

    /// A turn, to be held until the password is checked; `None` when others fill the line or it
    /// takes too long.
    pub(super) async fn turn(&self, standing: Standing, lane: Lane) -> Option<Turn> {
        self.turn_within(LONGEST_WAIT, standing, lane).await
    }

    async fn turn_within(&self, wait: Duration, standing: Standing, lane: Lane) -> Option<Turn> {
        let turn = self.join(standing, lane)?;
        tokio::time::timeout(wait, turn).await.ok()?.ok()
    }

    /// A place in the line; `None` where there is none.
    fn join(&self, standing: Standing, lane: Lane) -> Option<oneshot::Receiver<Turn>> {
        let (turn, mine) = oneshot::channel();
        let mut inner = self.lock();
        inner.waiting.retain(|it| !it.turn.is_closed());
        if inner.free > 0 {
            inner.free -= 1;
            drop(inner);
            turn.send(Turn(Some(self.clone()))).ok()?;
            return Some(mine);
        }
        inner.came += 1;
        let before = inner.waiting.iter().filter(|it| it.lane == lane).count();
        let place = (standing, before, inner.came);
        if inner.waiting.len() >= MOST_WAITING {
            let worst = (0..inner.waiting.len()).max_by_key(|at| inner.waiting[*at].place)?;
            if inner.waiting[worst].place < place {
                return None;
            }
            inner.waiting.swap_remove(worst);
        }
        inner.waiting.push(Waiting { place, lane, turn });
        Some(mine)
    }

    /// Gives a turn that has ended to the next one.
    fn pass_on(self) {
        loop {
            let mut inner = self.lock();
            let next = (0..inner.waiting.len()).min_by_key(|at| inner.waiting[*at].place);
            let Some(next) = next else {
                inner.free += 1;
                return;
            };
            let next = inner.waiting.swap_remove(next);
            drop(inner);
            match next.turn.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // They have gone: the turn is still this one's to give.
                Err(mut turn) => turn.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock()
    }
}

/// The right to check one password.
pub(super) struct Turn(Option<HashQueue>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(email: u8) -> Lane {
        ([email; 16], None)
    }

    fn has_turn(place: &mut oneshot::Receiver<Turn>) -> Option<Turn> {
        place.try_recv().ok()
    }

    #[test]
    fn the_better_standing_goes_first_and_equals_in_turn() {
        let queue = HashQueue::with_turns(1);
        let held = has_turn(&mut queue.join(Standing::Fresh, lane(0)).unwrap()).unwrap();
        let join = |standing, email| queue.join(standing, lane(email)).unwrap();
        let places = [
            join(Standing::Usual, 1),
            join(Standing::Usual, 1),
            join(Standing::Usual, 2),
            join(Standing::Known, 3),
            join(Standing::Suspect, 4),
            join(Standing::Fresh, 5),
        ];
        let mut waiting: Vec<(usize, oneshot::Receiver<Turn>)> = places.into_iter().enumerate().collect();
        // One who goes away is passed over.
        drop(join(Standing::Known, 6));
        drop(held);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let mut served = None;
            waiting.retain_mut(|(who, place)| {
                let turn = has_turn(place);
                let waits = turn.is_none();
                served = served.take().or(turn.map(|turn| (*who, turn)));
                waits
            });
            let (who, turn) = served.expect("the turn is somebody's");
            order.push(who);
            drop(turn);
        }
        assert_eq!(order, [3, 5, 0, 2, 1, 4]);
        assert_eq!(queue.lock().free, 1);
    }

    #[test]
    fn a_full_line_has_room_for_those_with_a_better_standing_alone() {
        let queue = HashQueue::with_turns(1);
        let held = queue.join(Standing::Fresh, lane(0)).unwrap();
        let many: Vec<_> = (0..200).filter_map(|_| queue.join(Standing::Suspect, lane(1))).collect();
        assert_eq!(many.len(), MOST_WAITING);
        assert!(queue.join(Standing::Suspect, lane(1)).is_none());
        let other = queue.join(Standing::Suspect, lane(2)).expect("another one's first");
        let mut owner = queue.join(Standing::Fresh, lane(3)).expect("better than those");
        assert_eq!(queue.lock().waiting.len(), MOST_WAITING);
        drop(held);
        assert!(has_turn(&mut owner).is_some());
        drop((many, other));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let queue = HashQueue::with_turns(1);
        let held = queue.turn(Standing::Known, lane(0)).await.unwrap();
        let wait = Duration::from_millis(10);
        assert!(queue.turn_within(wait, Standing::Known, lane(1)).await.is_none());
        drop(held);
        assert!(queue.turn(Standing::Suspect, lane(1)).await.is_some());
    }
}
