//! Hostile inputs for tests: lines of a corpus, mutations of these lines by a few bytes, and noise.
//! The unit tests of parsers use them, and so do the tests of the whole service.
//!
//! Half of the cases are the same in every run, and half are new; `TEST_CASES=100` runs a hundred
//! times as many. An input that has found a defect belongs into the corpus, `tests/corpus`.

#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "this is how a test fails; in the library it may"
)]

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

pub const FORMS: &[u8] = include_bytes!("../corpus/form.txt");
pub const BASIC: &[u8] = include_bytes!("../corpus/basic.txt");
pub const BEARER: &[u8] = include_bytes!("../corpus/bearer.txt");
pub const TOKENS: &[u8] = include_bytes!("../corpus/token.txt");
pub const SCOPES: &[u8] = include_bytes!("../corpus/scope.txt");

/// The number of cases, times `TEST_CASES`.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
pub fn cases(usually: u32) -> u32 {
    let times = std::env::var("TEST_CASES").ok();
    usually * times.map_or(1, |times| times.parse().expect("TEST_CASES is a number"))
}

/// Tests the property on `usually` inputs that are the same in every run, and on as many new ones.
pub fn each<S: Strategy>(
    usually: u32,
    inputs: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let config = Config { cases: cases(usually), failure_persistence: None, ..Config::default() };
    let same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for mut runner in
        [TestRunner::new_with_rng(config.clone(), same), TestRunner::new(config.clone())]
    {
        runner.run(&inputs, &property).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The lines of a corpus.
pub fn lines(corpus: &'static [u8]) -> Vec<&'static [u8]> {
    corpus.split(|byte| *byte == b'\n').collect()
}

/// One line of the corpus unchanged, or with some mutations, or noise.
pub fn bytes_like(corpus: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let lines = lines(corpus);
    let line = prop::sample::select(lines.clone());
    let mutated =
        (line, prop::collection::vec(mutation(lines), 0..6)).prop_map(|(line, mutations)| {
            let mut bytes = line.to_vec();
            for mutation in mutations {
                mutation.apply(&mut bytes);
            }
            bytes
        });
    prop_oneof![8 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

/// The same for text.
pub fn text_like(corpus: &'static [u8]) -> impl Strategy<Value = String> {
    bytes_like(corpus).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Clone, Debug)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    CutOff(prop::sample::Index),
    /// Repeats a part of the input.
    Repeat(prop::sample::Index),
    Splice(&'static [u8]),
}

/// A byte, more often a byte with a meaning to some parser.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        3 => prop::sample::select(b"%&=+:; \0\"\\,Bb_-./@~\xff\xc3\xa9\xe2\t\r\n".to_vec()),
        1 => any::<u8>(),
    ]
}

fn mutation(lines: Vec<&'static [u8]>) -> impl Strategy<Value = Mutation> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), byte()).prop_map(|(place, byte)| Mutation::Replace(place, byte)),
        (place(), byte()).prop_map(|(place, byte)| Mutation::Insert(place, byte)),
        place().prop_map(Mutation::Remove),
        place().prop_map(Mutation::CutOff),
        place().prop_map(Mutation::Repeat),
        prop::sample::select(lines).prop_map(Mutation::Splice),
    ]
}

impl Mutation {
    fn apply(self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Insert(place, byte) => bytes.insert(place.index(length + 1), byte),
            Self::Splice(line) => bytes.extend_from_slice(line),
            _ if length == 0 => {}
            Self::Replace(place, byte) => bytes[place.index(length)] = byte,
            Self::Remove(place) => {
                bytes.remove(place.index(length));
            }
            Self::CutOff(place) => bytes.truncate(place.index(length)),
            Self::Repeat(place) => {
                let tail = bytes[place.index(length)..].to_vec();
                bytes.extend_from_slice(&tail);
            }
        }
    }
}
