//! What is the same for every reader: made once, and kept for a moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::refusal::Refusal;
use parking_lot::Mutex;

/// Past so many, those that are old are dropped.
const MANY: usize = 200;
const OLD: Duration = Duration::from_mins(1);

type Made = Arc<tokio::sync::Mutex<Option<(Instant, Arc<str>)>>>;

/// Parts of pages by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<HashMap<String, (Instant, Made)>>>);

impl Shared {
    /// The part of that name, no older than `fresh`. Who asks while it is made waits for the same
    /// one.
    pub async fn get(
        &self,
        name: &str,
        fresh: Duration,
        make: impl AsyncFnOnce() -> Result<String, Refusal>,
    ) -> Result<Arc<str>, Refusal> {
        let place = self.place(name);
        let mut last = place.lock().await;
        if let Some((at, part)) = &*last
            && at.elapsed() < fresh
        {
            return Ok(part.clone());
        }
        let part: Arc<str> = make().await?.into();
        *last = Some((Instant::now(), part.clone()));
        Ok(part)
    }

    fn place(&self, name: &str) -> Made {
        let mut places = self.0.lock();
        if places.len() > MANY {
            places.retain(|_, (asked, _)| asked.elapsed() < OLD);
        }
        let place = places.entry(name.to_owned()).or_insert_with(|| (Instant::now(), Made::default()));
        place.0 = Instant::now();
        place.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn readers_at_once_share_one_rendering() {
        let (shared, renderings) = (Shared::default(), AtomicU32::new(0));
        let render = async || {
            renderings.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok("a part".to_owned())
        };
        let all = join_all((0..100).map(|_| shared.get("it", Duration::from_mins(1), render))).await;
        assert!(all.into_iter().all(|part| &*part.unwrap() == "a part"));
        assert_eq!(renderings.load(Ordering::Relaxed), 1);
        shared.get("it", Duration::ZERO, render).await.unwrap();
        shared.get("another", Duration::from_mins(1), render).await.unwrap();
        assert_eq!(renderings.load(Ordering::Relaxed), 3);
    }
}
