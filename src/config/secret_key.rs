//! `WEIRGATE_SECRET_KEY` and `WEIRGATE_SECRET_KEY_OLD`.

use weirgate_identity::{SecretKey, SecretKeys};

use super::reader::Reader;
use super::tokens::is_placeholder;

/// Its name.
pub(crate) const NAME: &str = "WEIRGATE_SECRET_KEY";

/// The name of the one that reads on.
pub(crate) const OLD: &str = "WEIRGATE_SECRET_KEY_OLD";

/// The keys, where one is set.
pub(super) fn read(r: &mut Reader<'_>) -> Option<SecretKeys> {
    let (current, old) = (r.checked(NAME, parse), r.checked(OLD, parse));
    match (current, old) {
        (Some(current), old) => Some(SecretKeys::new(current, old)),
        (None, Some(_)) if r.text(NAME).is_none() => {
            r.problems.push(format!("{OLD}: there is nothing that seals; set {NAME} as well"));
            None
        }
        _ => None,
    }
}

/// Reads a key; in an error, what is wrong and how to make a good one. It never repeats the key.
pub(crate) fn parse(text: &str) -> Result<SecretKey, String> {
    let hint = "set a random one, 32 bytes as 64 hex digits or in base64, such as the output of: openssl rand -hex 32";
    if is_placeholder(text) {
        return Err(format!("is a placeholder; {hint}"));
    }
    SecretKey::parse(text).map_err(|wrong| format!("{wrong}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigError};

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(&|name| pairs.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_secret_key_is_32_random_bytes() {
        let good = "0f1e2d3c4b5a69788796a5b4c3d2e1f000112233445566778899aabbccddeeff";
        let base64 = "Dx4tPEtaaXiHlqW0w9Lh8AARIjNEVWZ3iJmqu8zd7v8=";
        let name = |key: &str| read(&[(NAME, key)]).unwrap().secret_keys.unwrap().current();
        assert_eq!(name(good), name(base64));
        assert!(read(&[]).unwrap().secret_keys.is_none());
        assert!(read(&[(NAME, ""), (OLD, " ")]).unwrap().secret_keys.is_none());
        for wrong in
            ["changeme", "<openssl rand -hex 32>", &good[1..], &"ab".repeat(32), &good.replace('f', "g")]
        {
            for at in [NAME, OLD] {
                let other = if at == NAME { OLD } else { NAME };
                let error = read(&[(at, wrong), (other, good)]).unwrap_err().to_string();
                assert!(error.contains(&format!("\n  {at}: ")), "{error}");
                assert!(error.contains("openssl rand -hex 32"), "an example helps: {error}");
                assert!(wrong.starts_with('<') || !error.contains(wrong), "the key is shown: {error}");
            }
        }
        let alone = read(&[(OLD, good)]).unwrap_err().to_string();
        assert!(alone.contains("WEIRGATE_SECRET_KEY_OLD: there is nothing that seals"), "{alone}");
    }
}
