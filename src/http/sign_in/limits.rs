//! How often a sign-in may fail. Only failures count, by email and by address, and while one of the
//! two has failed too often, an email that has not failed from an address lately is still tried
//! from there: a right password is not refused for what others did. A browser that somebody has
//! signed in with before counts for itself. Nobody who guesses gets far: one address gets 5 tries
//! of an email and 20 in all, then one every 12 and 3 seconds; of many addresses, each gets one try
//! of an email in five minutes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

/// Past so many counters, those that matter least are forgotten: about 5 MB.
const MOST: usize = 50_000;

/// So many failures at once, and one more each time that passes.
#[derive(Debug, Clone, Copy)]
struct Quota {
    at_once: u32,
    every: Duration,
}

const OF_EMAIL: Quota = Quota { at_once: 5, every: Duration::from_secs(12) };
const OF_ADDRESS: Quota = Quota { at_once: 20, every: Duration::from_secs(3) };
/// Of an email from an address, while one of the two is over its own.
const OF_BOTH: Quota = Quota { at_once: 1, every: Duration::from_mins(5) };
const OF_BROWSER: Quota = OF_EMAIL;

/// Of a text that others chose: of equal length, however long that is.
pub(in crate::http) type Short = [u8; 16];

pub(in crate::http) fn short(text: impl AsRef<[u8]>) -> Short {
    let mut short = Short::default();
    short.copy_from_slice(&Sha256::digest(text)[..16]);
    short
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Email(Short),
    Address(Option<IpAddr>),
    Both(Short, Option<IpAddr>),
    Browser(Short),
}

impl Of {
    fn quota(self) -> Quota {
        match self {
            Self::Email(_) => OF_EMAIL,
            Self::Address(_) => OF_ADDRESS,
            Self::Both(..) => OF_BOTH,
            Self::Browser(_) => OF_BROWSER,
        }
    }
}

/// Who is served first when more want to sign in than the processors can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Has signed in with this browser before.
    Known,
    /// Comes from where nothing has failed lately.
    Fresh,
    /// Comes from where a little has failed.
    Usual,
    /// The email or the address has failed too often.
    Suspect,
}

/// Somebody who wants to sign in.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Caller {
    email: Short,
    address: Option<IpAddr>,
    /// Known to have been used by this email's owner.
    browser: Option<Short>,
}

impl Caller {
    pub(in crate::http) fn new(email: &str, address: Option<IpAddr>, browser: Option<Short>) -> Self {
        Self { email: short(email.trim().to_lowercase()), address: address.map(network), browser }
    }

    /// Whose attempts wait in one line.
    pub(super) fn lane(&self) -> (Short, Option<IpAddr>) {
        (self.email, self.address)
    }
}

/// What one customer of a network has: with version 6, that is 2⁶⁴ addresses.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// An attempt that may be made. It counts as failed from the start, so that many at once are no way
/// around.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) standing: Standing,
    /// What was added to which.
    counted: Vec<(Of, Duration)>,
}

/// Failures of late. Each counter is the time at which it will be empty again (GCRA).
#[derive(Debug, Default)]
pub(super) struct SignInLimits(Mutex<HashMap<Of, Instant>>);

impl SignInLimits {
    /// Whether `caller` may try now; else how long not.
    pub(super) fn begin(&self, caller: &Caller, now: Instant) -> Result<Attempt, Duration> {
        let mut counters = self.lock();
        if let Some(browser) = caller.browser.map(Of::Browser)
            && over(&counters, browser, now).is_none()
        {
            let counted = vec![(browser, count(&mut counters, browser, now))];
            return Ok(Attempt { standing: Standing::Known, counted });
        }
        let (email, address) = (Of::Email(caller.email), Of::Address(caller.address));
        let both = Of::Both(caller.email, caller.address);
        let too_often = over(&counters, email, now).max(over(&counters, address, now));
        if let Some((wait, rest)) = too_often.zip(over(&counters, both, now)) {
            return Err(wait.min(rest));
        }
        let standing = match too_often {
            Some(_) => Standing::Suspect,
            None if counters.get(&address).is_some_and(|empty| *empty > now) => Standing::Usual,
            None => Standing::Fresh,
        };
        let counted = [email, address, both].map(|of| (of, count(&mut counters, of, now))).to_vec();
        if counters.len() > MOST {
            forget(&mut counters, now);
        }
        Ok(Attempt { standing, counted })
    }

    /// The attempt was no failure: the password was right, or nobody looked at it.
    pub(super) fn take_back(&self, attempt: Attempt) {
        let mut counters = self.lock();
        for (of, added) in attempt.counted {
            if let Some(empty) = counters.get_mut(&of) {
                *empty = empty.checked_sub(added).unwrap_or(*empty);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Instant>> {
        self.0.lock()
    }
}

/// How long one has to wait, if it has failed too often.
fn over(counters: &HashMap<Of, Instant>, of: Of, now: Instant) -> Option<Duration> {
    let Quota { at_once, every } = of.quota();
    let left = counters.get(&of)?.saturating_duration_since(now);
    left.checked_sub(every * (at_once - 1)).filter(|wait| !wait.is_zero())
}

/// Returns what was added. Never beyond full: those that are tried all the same must not put off
/// the end.
fn count(counters: &mut HashMap<Of, Instant>, of: Of, now: Instant) -> Duration {
    let Quota { at_once, every } = of.quota();
    let empty = counters.entry(of).or_insert(now);
    let before = (*empty).max(now);
    *empty = (before + every).min(now + every * at_once);
    empty.saturating_duration_since(before)
}

/// Those that are empty, and if that is not enough, the half that soonest will be.
fn forget(counters: &mut HashMap<Of, Instant>, now: Instant) {
    counters.retain(|_, empty| *empty > now);
    if counters.len() <= MOST / 2 {
        return;
    }
    let mut times: Vec<Instant> = counters.values().copied().collect();
    let middle = times.len() / 2;
    let (_, middle, _) = times.select_nth_unstable(middle);
    let middle = *middle;
    counters.retain(|_, empty| *empty > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "ada@example.com";

    fn caller(email: &str, last: u8, browser: Option<Short>) -> Caller {
        Caller::new(email, Some(IpAddr::from([203, 0, 113, last])), browser)
    }

    /// How many of `tries` a second apart may be made by those callers in turn, none of which is
    /// right.
    fn guesses(limits: &SignInLimits, start: Instant, tries: u32, of: impl Fn(u32) -> Caller) -> usize {
        let time = |n| start + Duration::from_secs(n);
        (0..tries).filter(|n| limits.begin(&of(*n), time((*n).into())).is_ok()).count()
    }

    #[test]
    fn who_guesses_one_email_from_one_address_is_slowed() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        let tried = guesses(&limits, now, 600, |_| caller(OWNER, 1, None));
        assert!((50..=56).contains(&tried), "5 a minute, for ten minutes: {tried}");
        let wait = limits.begin(&caller(OWNER, 1, None), now + Duration::from_secs(599)).unwrap_err();
        assert!(wait <= Duration::from_secs(12), "{wait:?}");
    }

    #[test]
    fn who_guesses_one_email_from_many_addresses_is_slowed() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        // 50 addresses, each once a second, for ten minutes.
        let tried: usize = (0..600)
            .map(|second| {
                let time = now + Duration::from_secs(second);
                (0..50).filter(|n| limits.begin(&caller(OWNER, *n, None), time).is_ok()).count()
            })
            .sum();
        assert!(tried <= 50 * 3 + 60, "of 30,000: {tried}");
    }

    #[test]
    fn who_tries_many_emails_from_one_address_is_slowed_for_each() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        let tried = guesses(&limits, now, 600, |n| caller(&format!("user{}@example.com", n % 5), 1, None));
        assert!(tried <= 20 + 200 + 5 * 3, "20 a minute and one in five minutes of each: {tried}");
    }

    #[test]
    fn a_right_password_is_tried_whatever_others_did() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        guesses(&limits, now, 60, |_| caller(OWNER, 1, None));
        guesses(&limits, now, 60, |n| caller(&format!("nobody{n}@example.com"), 2, None));
        let later = now + Duration::from_secs(59);
        // From elsewhere; from where others failed with other emails; and in a browser of theirs
        // from where somebody guesses.
        for (last, browser) in [(3, None), (2, None), (1, Some(short("cookie")))] {
            let attempt = limits.begin(&caller(OWNER, last, browser), later).unwrap();
            assert_eq!(attempt.standing == Standing::Known, browser.is_some());
            limits.take_back(attempt);
        }
        limits.begin(&caller(OWNER, 1, None), later).unwrap_err();
    }

    #[test]
    fn what_was_right_does_not_count() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        for _ in 0..100 {
            for browser in [None, Some(short("cookie"))] {
                let attempt = limits.begin(&caller(OWNER, 1, browser), now).unwrap();
                assert!(attempt.standing <= Standing::Fresh);
                limits.take_back(attempt);
            }
        }
    }

    #[test]
    fn a_known_browser_gets_no_more_guesses_than_others() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        let tried = guesses(&limits, now, 60, |_| caller(OWNER, 1, Some(short("stolen"))));
        assert!(tried <= 20, "its own and those of its address: {tried}");
    }

    #[test]
    fn made_up_emails_and_addresses_do_not_fill_the_memory() {
        let (limits, now) = (SignInLimits::default(), Instant::now());
        limits.begin(&caller(OWNER, 1, None), now).unwrap();
        for n in 0..200_000_u32 {
            let address = IpAddr::from(n.to_be_bytes());
            let time = now + Duration::from_micros(n.into());
            limits.begin(&Caller::new(&n.to_string(), Some(address), None), time).unwrap();
            assert!(limits.lock().len() <= MOST + 3);
        }
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let of = |text: &str| Caller::new(OWNER, Some(text.parse().unwrap()), None).address;
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("203.0.113.1"), of("203.0.113.2"));
    }
}
