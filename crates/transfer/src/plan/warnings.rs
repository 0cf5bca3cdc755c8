//! What people should know of a source's data before it is sent.

use schema::Replica;

/// Tells what its user may not expect of a transfer from this source: `raw` or not, `whole` or an
/// increment.
pub fn warnings(source: &Replica, raw: bool, whole: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(origin), true) = (&source.properties.origin, whole) {
        warnings.push(format!(
            "it is a clone of {origin}, and is sent whole: it will take up all of its size, and be \
             no clone"
        ));
    }
    if source.properties.encrypted && !raw {
        warnings.push(format!(
            "it is encrypted at {}, and is sent DECRYPTED: whoever stores it can read it",
            source.place
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples::replica;

    #[test]
    fn a_clone_that_is_sent_whole_and_data_in_the_clear_are_told() {
        let plain = replica("m", &[]);
        let mut clone = plain.clone();
        clone.properties.origin = Some("tank/o@s".to_owned());
        let mut encrypted = plain.clone();
        encrypted.properties.encrypted = true;
        for (source, raw, whole, expected) in [
            (&plain, false, true, &[][..]),
            (&clone, false, true, &["a clone of tank/o@s"]),
            (&clone, false, false, &[]),
            (&encrypted, false, true, &[r"encrypted at dc\m\tank, and is sent DECRYPTED"]),
            (&encrypted, false, false, &["DECRYPTED"]),
            (&encrypted, true, true, &[]),
        ] {
            let told = warnings(source, raw, whole);
            assert_eq!(told.len(), expected.len(), "{told:?}");
            assert!(told.iter().zip(expected).all(|(told, it)| told.contains(it)), "{told:?}");
        }
    }
}
