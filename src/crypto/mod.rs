//! Randomness and password hashing; nothing else draws or hashes.

pub mod hasher;
pub mod secret;
