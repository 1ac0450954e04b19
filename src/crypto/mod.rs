//! Randomness and password hashing; nothing else draws or hashes.

pub mod calibration;
pub mod entropy;
mod fair_queue;
mod hash_queue;
pub mod hasher;
