//! Whether an email and a password belong together, asked no more often than is good.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use parking_lot::Mutex;
use sqlx::PgPool;
use weirgate_identity::accounts::Account;
use weirgate_identity::audit::{self, Via};
use weirgate_identity::sign_in::Candidate;
use weirgate_web::Web;
use weirgate_web::permits::under;
use weirgate_web::problem::Problem;

use super::hash_queue::HashQueue;
use super::limits::{Caller, Short, SignInLimits, short};

/// So many entries of failed sign-ins a minute, of each process; what is beyond shares one.
const MOST_NOTED: usize = 20;

/// Why a password was not looked at, or did not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Refused {
    /// The form was on another site's page.
    FromElsewhere,
    /// Too many have failed; in so many seconds, one more may be tried.
    TooOften(u64),
    /// Too many others want to sign in.
    Busy,
    /// Of the two, one is wrong. Nobody is told which.
    Wrong,
}

impl Refused {
    pub(in crate::http) fn status(self) -> StatusCode {
        match self {
            Self::FromElsewhere => StatusCode::FORBIDDEN,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Wrong => StatusCode::UNAUTHORIZED,
        }
    }

    /// When it may be tried again.
    pub(in crate::http) fn seconds(self) -> Option<u64> {
        match self {
            Self::TooOften(seconds) => Some(seconds),
            Self::Busy => Some(1),
            Self::FromElsewhere | Self::Wrong => None,
        }
    }

    pub(in crate::http) fn words(self) -> String {
        match self {
            Self::FromElsewhere => "The request came from another site. Sign in here.".to_owned(),
            Self::TooOften(seconds) => format!("Too many failed attempts. Try again in {seconds} s."),
            Self::Busy => "Too many sign-ins at once. Try again in a moment.".to_owned(),
            Self::Wrong => "Wrong email or password.".to_owned(),
        }
    }
}

/// Why somebody is not signed in.
#[derive(Debug)]
pub(in crate::http) enum NotSignedIn {
    Refused(Refused),
    /// For no fault of theirs.
    Broken(Problem),
}

impl From<Refused> for NotSignedIn {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Those who sign in, in this process.
pub(crate) struct SignIns {
    limits: SignInLimits,
    queue: HashQueue,
    /// Of which failures there are entries, since when.
    noted: Mutex<(Instant, HashSet<Short>)>,
}

impl SignIns {
    pub(crate) fn new() -> Self {
        Self {
            limits: SignInLimits::default(),
            queue: HashQueue::new(),
            noted: Mutex::new((Instant::now(), HashSet::new())),
        }
    }

    /// Whose email and password these are.
    pub(in crate::http) async fn check(
        &self,
        web: &Web,
        caller: &Caller,
        email: &str,
        password: &str,
    ) -> Result<Account, NotSignedIn> {
        let attempt = self
            .limits
            .begin(caller, Instant::now())
            .map_err(|wait| Refused::TooOften(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))?;
        let found = match find(web, email).await {
            Ok(found) => found,
            Err(error) => {
                self.limits.take_back(attempt);
                return Err(NotSignedIn::Broken(error));
            }
        };
        let Some(turn) = self.queue.turn(attempt.standing, caller.lane()).await else {
            self.limits.take_back(attempt);
            return Err(Refused::Busy.into());
        };
        let account = found.verify(&web.pool, password, turn).await.ok_or(Refused::Wrong)?;
        self.limits.take_back(attempt);
        Ok(account)
    }

    /// A right password that opens nothing counts as a wrong one.
    pub(in crate::http) fn fail(&self, caller: &Caller) {
        // Whether one more may be tried is looked at then.
        let _ = self.limits.begin(caller, Instant::now());
    }

    /// Puts a failure into the audit. Neither the number of entries nor what they say is the
    /// caller's to choose.
    pub(in crate::http) async fn note_failure(
        &self,
        pool: &PgPool,
        via: Via,
        address: Option<IpAddr>,
        email: &str,
    ) -> sqlx::Result<()> {
        let email = shown(email);
        if self.has_entry(short(format!("{address:?} {email}")), Instant::now()) {
            audit::note_failed_sign_in(pool, via, address, email).await
        } else {
            audit::note_failed_sign_in(pool, via, None, "many others").await
        }
    }

    /// Whether there is an entry, or room for one.
    fn has_entry(&self, failure: Short, now: Instant) -> bool {
        let mut noted = self.noted.lock();
        if now.saturating_duration_since(noted.0) >= Duration::from_mins(1) {
            *noted = (now, HashSet::new());
        }
        let has_room = noted.1.len() < MOST_NOTED;
        noted.1.contains(&failure) || (has_room && noted.1.insert(failure))
    }
}

async fn find(web: &Web, email: &str) -> Result<Candidate, Problem> {
    let (email, pool) = (email.to_owned(), web.pool.clone());
    let permit = web.permits.of_sign_in().await?;
    Ok(under(permit, async move { Candidate::find(&pool, &email).await }).await?)
}

/// What may be kept of a text that was given as an email: people type passwords there too.
fn shown(email: &str) -> &str {
    let email = email.trim();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    let is_host = |host: &str| {
        let letters = |part: &str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_name(host) && host.rsplit_once('.').is_some_and(|(_, last)| letters(last))
    };
    let is_email = email.split_once('@').is_some_and(|(name, host)| is_name(name) && is_host(host));
    if is_email && email.len() <= 254 { email } else { "not an email address" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_email_is_kept() {
        for email in ["ada@example.com", " Ada.L+jobs@mail.example.co.uk ", "admin@weirgate.local"] {
            assert_eq!(shown(email), email.trim());
        }
        let long = format!("{}@example.com", "a".repeat(300));
        for other in ["", "hunter2", "P@ssw0rd!", "p@ss", "tr0ub4dor&3@home.net", "a b@example.com", &long] {
            assert_eq!(shown(other), "not an email address");
        }
        for both in ["ada@example.comhunter2", "ada@example.com hunter"] {
            assert_eq!(shown(both), "not an email address", "both typed into one field");
        }
    }

    #[test]
    fn many_failures_are_few_entries() {
        let (sign_ins, now) = (SignIns::new(), Instant::now());
        let entries = |now| (0..1000_u32).filter(|n| sign_ins.has_entry(short(n.to_string()), now)).count();
        assert_eq!((entries(now), entries(now)), (MOST_NOTED, MOST_NOTED));
        assert_eq!(entries(now + Duration::from_mins(2)), MOST_NOTED);
    }
}
