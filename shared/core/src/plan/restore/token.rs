//! The client token of a restore: the same for the same command.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Hexadecimal digits of the hash in a token: with its prefix well below EC2's 64 characters (EC2
/// Developer Guide, "Ensuring idempotency").
const DIGITS: usize = 40;

/// The client token of a request about `backup`: what is made, from what, and every word of the
/// request that changes what is made. What was filled in for the person is no part of it, so that
/// the same command finds what it made before even where the source has changed since.
#[must_use]
pub fn token(kind: &str, backup: &str, request: &[(&str, Option<String>)]) -> String {
    let mut text = format!("{kind}\n{backup}\n");
    for (name, value) in request {
        if let Some(value) = value {
            // Lengths keep two requests apart whose words run into one another.
            let _ = writeln!(text, "{name}={}:{value}", value.len());
        }
    }
    let mut token = String::from("hf-");
    for byte in Sha256::digest(text.as_bytes()).iter().take(DIGITS / 2) {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_has_one_token_and_every_other_one_its_own() {
        let with =
            |kind, backup, az: Option<&str>| token(kind, backup, &[("az", az.map(str::to_owned))]);
        let one = with("volume", "snap-1", Some("eu-central-1a"));
        assert_eq!(one, with("volume", "snap-1", Some("eu-central-1a")));
        for other in [
            with("volume", "snap-1", None),
            with("volume", "snap-1", Some("eu-central-1b")),
            with("volume", "snap-2", Some("eu-central-1a")),
            with("set", "snap-1", Some("eu-central-1a")),
        ] {
            assert_ne!(one, other);
        }
        let apart = |a: &str, b: &str| {
            token(
                "volume",
                "s",
                &[("a", Some(a.into())), ("b", Some(b.into()))],
            )
        };
        assert_ne!(apart("1\nb=1:2", "2"), apart("1", "2\nb=1:2"));
    }

    #[test]
    fn a_token_is_one_that_ec2_takes() {
        let token = token("instance", "ami-1", &[("again", Some("ü".repeat(300)))]);
        assert!(token.len() <= 64 && token.is_ascii(), "{token}");
    }
}
