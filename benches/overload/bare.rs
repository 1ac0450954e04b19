//! Bare Argon2id: the hashing rate of the processors without other work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Hashes per second with the parameters of production on all cores, each core with its own memory.
pub fn argon2id(lasts: Duration) -> f64 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let done = AtomicU64::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let params = Params::new(19_456, 2, 1, Some(32)).unwrap();
                let mut memory = vec![Block::new(); params.block_count()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut tag = [0; 32];
                while began.elapsed() < lasts {
                    argon2
                        .hash_password_into_with_memory(b"battery", &[7; 16], &mut tag, &mut memory)
                        .unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}
