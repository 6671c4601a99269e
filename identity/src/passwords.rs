//! Passwords: how they are hashed, checked and made up.
//!
//! New ones are hashed by Argon2id with 19 MiB, two passes and one lane, as OWASP's cheat sheet on
//! password storage has it. Hashes of bcrypt, which other systems have, are taken over: they are
//! checked, and replaced at the next sign-in.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use rand::Rng;
use rand::rngs::StdRng;

/// The shortest password, in characters.
pub const SHORTEST: usize = 12;

/// Longer ones would only keep the hash busy.
pub const LONGEST: usize = 1000;

/// Bcrypt doubles its time with each step; 14 takes about a second.
const MOST_BCRYPT_COST: u32 = 14;

/// Of Argon2 hashes of other systems: KiB, passes and lanes.
const MOST_MEMORY: u32 = 64 * 1024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;

/// Of a password that nobody knows, with the parameters of the others.
pub(crate) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$eGpZ2pzHq1wWn4K1HLJfkXQxTJqHqLSmXX0cVQ0yT1A";

/// Why a password is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password must have {SHORTEST} to {LONGEST} characters")]
    Length,
    /// Hashing failed.
    #[error("cannot hash the password: {0}")]
    Hash(String),
    /// It is the hash of another system, in a form that is not known.
    #[error(
        "this is no hash of a password that can be taken over: expected bcrypt ($2a$, $2b$ or $2y$) of \
         a cost up to {MOST_BCRYPT_COST}, or Argon2 as a PHC string of up to 64 MiB, 10 passes and 4 lanes"
    )]
    UnknownHash,
}

/// A password that nobody can guess: 20 characters of 32, 100 bits.
pub fn generate(rng: &mut StdRng) -> String {
    // Without those that look like others.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    rng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// Refuses a password that is too short or too long, before any work is done for it.
///
/// # Errors
/// [`PasswordError::Length`].
pub fn check(password: &str) -> Result<(), PasswordError> {
    let fits = (SHORTEST..=LONGEST).contains(&password.chars().count());
    if fits { Ok(()) } else { Err(PasswordError::Length) }
}

/// What is stored of a password.
///
/// # Errors
/// When it is too short or too long.
pub async fn hash(password: &str) -> Result<String, PasswordError> {
    check(password)?;
    hash_any(password.to_owned()).await
}

/// The same for one that was taken before, however long it is.
pub(crate) async fn hash_any(password: String) -> Result<String, PasswordError> {
    // Takes 20 ms and 19 MiB, on purpose.
    tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    })
    .await
    .map_err(|error| PasswordError::Hash(error.to_string()))?
    .map_err(|error| PasswordError::Hash(error.to_string()))
}

/// Whether the hash is of that password. Takes a processor, on purpose.
pub(crate) fn matches(password: &str, hash: &str) -> bool {
    if let Some(cost) = bcrypt_cost(hash) {
        return cost <= MOST_BCRYPT_COST && bcrypt::verify(password, hash).unwrap_or(false);
    }
    PasswordHash::new(hash).is_ok_and(|hash| {
        is_bearable(&hash) && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    })
}

/// Whether new passwords would be hashed otherwise.
pub(crate) fn is_outdated(hash: &str) -> bool {
    let [hash, nobodys] = [hash, NOBODYS].map(PasswordHash::new);
    match (hash, nobodys) {
        (Ok(hash), Ok(now)) => {
            (hash.algorithm, hash.version) != (now.algorithm, now.version)
                || hash.params.to_string() != now.params.to_string()
        }
        _ => true,
    }
}

/// Refuses the hash of another system that no sign-in could check.
///
/// # Errors
/// [`PasswordError::UnknownHash`].
pub fn check_hash(hash: &str) -> Result<(), PasswordError> {
    let is_known = match bcrypt_cost(hash) {
        Some(cost) => (4..=MOST_BCRYPT_COST).contains(&cost) && hash.len() == 60,
        None => PasswordHash::new(hash).is_ok_and(|hash| is_bearable(&hash)),
    };
    if is_known { Ok(()) } else { Err(PasswordError::UnknownHash) }
}

/// Whether it is Argon2, and anybody may have it checked as often as the limits of signing in let them.
fn is_bearable(hash: &PasswordHash) -> bool {
    hash.algorithm.as_str().starts_with("argon2")
        && Params::try_from(hash).is_ok_and(|it| {
            it.m_cost() <= MOST_MEMORY && it.t_cost() <= MOST_PASSES && it.p_cost() <= MOST_LANES
        })
}

fn bcrypt_cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| hash.strip_prefix(prefix))?;
    rest.split_once('$')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_email_costs_as_much_as_a_wrong_password() {
        let real = hash("a long password").await.unwrap();
        let [nobodys, real] = [NOBODYS, &real].map(|text| PasswordHash::new(text).unwrap());
        assert_eq!((nobodys.algorithm, nobodys.version), (real.algorithm, real.version));
        assert_eq!(nobodys.params.to_string(), real.params.to_string());
    }

    #[tokio::test]
    async fn hashes_of_other_systems_are_checked_and_outdated() {
        let own = hash("correct horse battery").await.unwrap();
        assert!(matches("correct horse battery", &own) && !is_outdated(&own));
        assert!(!matches("correct horse batterz", &own));
        // Of a cost of 4, as each step would double the time of this test.
        let bcrypt = bcrypt::hash("correct horse battery", 4).unwrap();
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = format!("{prefix}{}", &bcrypt[4..]);
            assert!(matches("correct horse battery", &hash), "{prefix}");
            assert!(!matches("another horse battery", &hash), "{prefix}");
            assert!(is_outdated(&hash));
            check_hash(&hash).unwrap();
        }
        let cheaper = own.replacen("t=2", "t=1", 1);
        assert!(is_outdated(&cheaper));
    }

    #[test]
    fn hashes_that_no_sign_in_could_check_are_refused() {
        let dear = "$2b$15$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        for hash in ["", "correct horse", "$1$abc$def", "$2x$10$short", dear, "$2b$04$short"] {
            assert!(check_hash(hash).is_err(), "{hash}");
        }
        assert!(!matches("whatever", dear), "it would keep a processor busy for two seconds");
        check_hash(NOBODYS).unwrap();
        for dear in ["m=4194304,t=2,p=1", "m=19456,t=1000,p=1", "m=19456,t=2,p=64"] {
            let dear = NOBODYS.replacen("m=19456,t=2,p=1", dear, 1);
            assert!(check_hash(&dear).is_err() && !matches("whatever", &dear), "{dear}");
        }
    }
}
