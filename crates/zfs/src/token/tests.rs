use proptest::prelude::*;

use super::*;

/// Tokens of OpenZFS 2.3.2, each followed by what `zfs send -nvt` says of it.
const REAL: [&str; 7] = [
    include_str!("../../tests/fixtures/token/full.txt"),
    include_str!("../../tests/fixtures/token/increment.txt"),
    include_str!("../../tests/fixtures/token/compressed.txt"),
    include_str!("../../tests/fixtures/token/embedded.txt"),
    include_str!("../../tests/fixtures/token/large.txt"),
    include_str!("../../tests/fixtures/token/raw.txt"),
    include_str!("../../tests/fixtures/token/volume.txt"),
];

fn real(which: usize) -> ResumeToken {
    REAL[which].lines().next().unwrap().parse().unwrap()
}

fn snapshot(name: &str) -> SnapshotName {
    name.parse().unwrap()
}

fn refusal(text: &str) -> String {
    text.parse::<ResumeToken>().unwrap_err().to_string()
}

/// The token that holds a list of these pairs.
fn token_of(pairs: &[Vec<u8>]) -> String {
    let start = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    encode(&[&start, pairs.concat().as_slice(), &[0; 4]].concat())
}

#[test]
fn a_token_says_what_zfs_says_of_it() {
    for (which, text) in REAL.into_iter().enumerate() {
        let token = real(which);
        let says = |name: &str| {
            let value = |line: &'static str| line.trim().strip_prefix(name)?.strip_prefix(" = ");
            text.lines().find_map(value)
        };
        let number = |name: &str| {
            let hex = says(name)?.strip_prefix("0x")?;
            Some(u64::from_str_radix(hex, 16).unwrap())
        };
        assert_eq!(Some(token.to_name.as_str()), says("toname"));
        assert_eq!(Some(token.to_guid), number("toguid").map(Guid));
        assert_eq!(token.from_guid, number("fromguid").map(Guid));
        assert_eq!(Some(token.object), number("object"));
        assert_eq!(Some(token.offset), number("offset"));
        assert_eq!(Some(token.bytes), number("bytes"));
        assert_eq!(token.raw, says("rawok").is_some());
        assert_eq!(token.large_blocks, says("largeblockok").is_some());
        assert_eq!(token.embedded, says("embedok").is_some());
        assert_eq!(token.compressed, says("compressok").is_some());
        assert!(!token.redacted && !token.saved);
        assert_eq!(token.as_str(), text.lines().next().unwrap());
    }
}

#[test]
fn a_token_for_another_replica_differs_in_the_name_alone() {
    for which in 0..REAL.len() {
        let token = real(which);
        let other: ResumeToken = token.at(&snapshot("pool-2/a/b@c")).parse().unwrap();
        assert_eq!(other.to_name, "pool-2/a/b@c");
        let others = |token: &ResumeToken| {
            let Range { start, end } = token.to_name_at;
            (token.packed[..start].to_vec(), token.packed[end..].to_vec())
        };
        assert_eq!(others(&other), others(&token));
    }
}

#[test]
fn redacted_and_saved_are_seen() {
    let mut packed = real(0).packed;
    packed.truncate(packed.len() - 4);
    // A flag is a pair without elements and without a value.
    let mut saved = nvlist::string_pair("savedok", "");
    saved.truncate(24);
    saved[0] = 24;
    saved[8..16].copy_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    let redacted = nvlist::string_pair("book_redact_snaps", "");
    let token: ResumeToken =
        encode(&[packed, saved, redacted, vec![0; 4]].concat()).parse().unwrap();
    assert!(token.redacted && token.saved);
}

#[test]
fn what_is_no_token_is_refused_by_what_is_wrong() {
    let text = real(0).text;
    let parts: Vec<_> = text.split('-').collect();
    let with = |at: usize, part: &str| {
        let mut parts = parts.clone();
        parts[at] = part;
        refusal(&parts.join("-"))
    };
    let form = "the resume token is not of the form 1-CHECKSUM-SIZE-DATA";
    for text in ["", "-", "1-2-3", "1-+2-3-00", "1-2-3-0", "1-2-3-0g", "1-2-3-00-", "x-2-3-00"] {
        assert_eq!(refusal(text), form, "{text}");
    }
    assert_eq!(with(0, "2"), "the resume token is of an unknown version (2)");
    assert_eq!(with(1, "1"), "the resume token's checksum does not fit its data");
    for size in ["1", "ffff"] {
        assert!(with(2, size).starts_with("the resume token's data can't be inflated to the "));
    }
    assert_eq!(
        with(2, "10001"),
        "the resume token is too long: 65537 bytes, at most 65536 can be right"
    );
    assert_eq!(
        refusal(&"1".repeat(70_000)),
        "the resume token is too long: 70000 bytes, at most 65536 can be right"
    );
}

#[test]
fn a_token_inflates_to_no_more_than_it_announces() {
    let bomb = encode(&vec![0; 1 << 20]).replacen("-100000-", "-64-", 1);
    assert_eq!(
        refusal(&bomb),
        "the resume token's data can't be inflated to the 100 bytes that it announces"
    );
}

#[test]
fn a_token_without_what_every_token_has_is_refused() {
    let text = |name| nvlist::string_pair(name, "tank/a@b");
    let refused = |pairs: &[Vec<u8>]| refusal(&token_of(pairs));
    assert_eq!(refused(&[]), "the resume token lacks 'toname'");
    assert_eq!(refused(&[text("toname")]), "the resume token lacks 'toguid'");
    assert_eq!(
        refused(&[text("toname"), text("toguid")]),
        "the resume token's data can't be read: 'toguid' is of the wrong type"
    );
    assert_eq!(
        refused(&[text("toname"), text("toname")]),
        "the resume token's data can't be read: the list has 'toname' twice"
    );
}

proptest! {
    #[test]
    fn a_token_that_goes_to_another_replica_and_back_is_the_same(
        which in 0..REAL.len(),
        name in "[a-z][a-z0-9-]{0,9}(/[a-z0-9 ._-]{1,40}[a-z]){0,4}@[a-z0-9:-]{1,20}",
    ) {
        let token = real(which);
        let there: ResumeToken = token.at(&snapshot(&name)).parse().unwrap();
        prop_assert_eq!(&there.to_name, &name);
        let back: ResumeToken = there.at(&snapshot(&token.to_name)).parse().unwrap();
        prop_assert_eq!(back.packed, token.packed);
    }

    #[test]
    fn no_text_panics(text: String, a: u8, b: u64, c: u32, hex in "[0-9a-f]{0,90}") {
        let _ = text.parse::<ResumeToken>();
        let _ = format!("{a}-{b:x}-{c:x}-{hex}").parse::<ResumeToken>();
    }

    #[test]
    fn no_data_panics(
        which in 0..REAL.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        len in any::<prop::sample::Index>(),
    ) {
        let mut packed = real(which).packed;
        for (at, byte) in damage {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        if let Ok(token) = encode(&packed).parse::<ResumeToken>() {
            let _ = token.at(&snapshot("tank/a@b"));
        }
        packed.truncate(len.index(packed.len()));
        let _ = encode(&packed).parse::<ResumeToken>();
    }
}
