//! Who may call how often, and which tokens are the service's.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use weirgate_identity::audit::ServiceToken;
use weirgate_identity::keys::Hash;

use crate::problem::Problem;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    Service,
    ApiKey(Hash),
    /// Somebody who is signed in, however often they are.
    Account(Uuid),
    /// Everybody whose credential is wrong; who guesses slows down only other guessers.
    Unknown,
}

/// Requests per caller (GCRA, see the `governor` crate), for each process on its own. Only keys
/// that were right have an entry of their own.
#[derive(Debug)]
pub struct Limits(DefaultKeyedRateLimiter<Caller>);

impl Limits {
    pub fn new(requests_per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(requests_per_second).allow_burst(burst)))
    }

    /// Forgets those whose budget is full again.
    pub fn prune(&self) {
        self.0.retain_recent();
    }

    pub(crate) fn check(&self, caller: Caller) -> Result<(), Problem> {
        self.0.check_key(&caller).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Problem::too_many_requests(whole_seconds(wait))
        })
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The service's token and, while it is being changed, the next one; as hashes, of equal length
/// whatever is compared with them.
#[derive(Debug)]
pub struct ServiceTokens {
    now: [u8; 32],
    next: Option<[u8; 32]>,
}

impl ServiceTokens {
    pub fn new(now: &str, next: Option<&str>) -> Self {
        Self { now: token_hash(now), next: next.map(token_hash) }
    }

    /// Which of the two it is. Both are compared in any case, so that the time tells nothing.
    pub(crate) fn accept(&self, token: &str) -> Option<ServiceToken> {
        let given = token_hash(token);
        let is_now = given.ct_eq(&self.now);
        let is_next = given.ct_eq(&self.next.unwrap_or(self.now));
        bool::from(is_now | is_next).then(|| ServiceToken { hash: given, is_next: !bool::from(is_now) })
    }
}

fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
