//! Load generators: closed loop, open loop, eager clients, and a steady probe.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rocket::tokio::net::TcpStream;
use rocket::tokio::runtime::Builder;
use rocket::tokio::task::{LocalSet, spawn_local};
use rocket::tokio::time::sleep_until;

use crate::wire::{Answer, ask, ask_async, connect};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 200
    Answered,
    /// 503 with `Retry-After`
    Refused,
    Other,
}

impl Kind {
    fn of(answer: &Answer) -> Self {
        match answer.status {
            200 => Self::Answered,
            503 if answer.says_when => Self::Refused,
            _ => Self::Other,
        }
    }
}

/// One request: its due time, and the time from then to its response.
#[derive(Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub took: Duration,
    pub kind: Kind,
}

impl Sample {
    pub fn millis(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }
}

/// Closed loop: rate of answered `requests` per second while each of `clients` waits for its
/// response before the next request.
pub fn closed_loop(port: u16, clients: usize, requests: &[Vec<u8>], lasts: Duration) -> f64 {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for client in 0..clients {
            let done = &done;
            scope.spawn(move || {
                let mut stream = connect(port);
                for request in requests.iter().cycle().skip(client) {
                    if began.elapsed() >= lasts {
                        break;
                    }
                    if ask(&mut stream, request).unwrap().status == 200 {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// Open loop: sends `rate` requests a second without waiting for responses. One thread sends all
/// requests, to take little from a server on the same machine.
pub fn open_loop(
    port: u16,
    requests: &Arc<[Vec<u8>]>,
    rate: f64,
    lasts: Duration,
    zero: Instant,
) -> Vec<Sample> {
    let samples = Rc::new(RefCell::new(Vec::new()));
    let idle = Rc::new(RefCell::new(Vec::<TcpStream>::new()));
    let under_way = Rc::new(AtomicUsize::new(0));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let began = Instant::now();
        let all = (rate * lasts.as_secs_f64()) as usize;
        for n in 0..all {
            let due = began + Duration::from_secs_f64(n as f64 / rate);
            if due > Instant::now() {
                sleep_until(due.into()).await;
            }
            let requests = Arc::clone(requests);
            let (samples, idle) = (Rc::clone(&samples), Rc::clone(&idle));
            let counted = Rc::clone(&under_way);
            counted.fetch_add(1, Ordering::Relaxed);
            spawn_local(async move {
                let request = &requests[n % requests.len()];
                let kept = idle.borrow_mut().pop();
                let answer = async {
                    let mut stream = match kept {
                        Some(stream) => stream,
                        None => TcpStream::connect(("127.0.0.1", port)).await?,
                    };
                    stream.set_nodelay(true)?;
                    let answer = ask_async(&mut stream, request).await?;
                    if !answer.closes {
                        idle.borrow_mut().push(stream);
                    }
                    std::io::Result::Ok(answer)
                };
                let kind = answer.await.map_or(Kind::Other, |answer| Kind::of(&answer));
                samples.borrow_mut().push(Sample { at: due - zero, took: due.elapsed(), kind });
                counted.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while under_way.load(Ordering::Relaxed) > 0 {
            sleep_until((Instant::now() + Duration::from_millis(5)).into()).await;
        }
    });
    samples.take()
}

/// Eager clients: each sends its next request at once, whether the last was answered or refused.
/// All run in one thread at a lower priority than a server on the same machine.
pub fn eager_loop(
    port: u16,
    clients: usize,
    requests: &Arc<[Vec<u8>]>,
    lasts: Duration,
) -> Vec<Sample> {
    thread::scope(|scope| {
        scope.spawn(|| ask_eagerly(port, clients, requests, lasts)).join().unwrap()
    })
}

fn ask_eagerly(
    port: u16,
    clients: usize,
    requests: &Arc<[Vec<u8>]>,
    lasts: Duration,
) -> Vec<Sample> {
    // only for this thread
    rustix::process::nice(19).unwrap();
    let samples = Rc::new(RefCell::new(Vec::new()));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let (requests, samples) = (Arc::clone(requests), Rc::clone(&samples));
                spawn_local(async move {
                    let mut stream = None;
                    let mut turn = client;
                    while began.elapsed() < lasts {
                        let asked = began.elapsed();
                        let answer = ask_again(port, &mut stream, &requests[turn % requests.len()]);
                        let kind = answer.await.map_or(Kind::Other, |answer| Kind::of(&answer));
                        let took = began.elapsed() - asked;
                        samples.borrow_mut().push(Sample { at: asked, took, kind });
                        turn += 1;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
    samples.take()
}

/// Sends the request on the open connection, or on a new one.
async fn ask_again(
    port: u16,
    kept: &mut Option<TcpStream>,
    request: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    let answer = ask_async(&mut stream, request).await?;
    if !answer.closes {
        *kept = Some(stream);
    }
    Ok(answer)
}

/// Probe: a signed-in client that sends requests at a steady pace until the sender of `stop` is
/// dropped.
pub fn probe(
    port: u16,
    token: &str,
    pause: Duration,
    zero: Instant,
    stop: &Receiver<()>,
) -> Vec<Sample> {
    let request =
        format!("GET /v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut stream = connect(port);
    let mut samples = Vec::new();
    let mut due = Instant::now();
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if stop.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
            return samples;
        }
        let kind = match ask(&mut stream, request.as_bytes()) {
            Ok(answer) => Kind::of(&answer),
            Err(_) => {
                stream = connect(port);
                Kind::Other
            }
        };
        samples.push(Sample { at: due - zero, took: due.elapsed(), kind });
        due += pause;
    }
}

/// Time until sign-ins are admitted again: ten in a row, each answered within half a second.
pub fn recovery(port: u16, request: &[u8], patience: Duration) -> Option<Duration> {
    let began = Instant::now();
    let mut stream = connect(port);
    let (mut since, mut in_a_row) = (Duration::ZERO, 0);
    while began.elapsed() < patience {
        let at = began.elapsed();
        let answer = ask(&mut stream, request).unwrap();
        let is_well = answer.status == 200 && began.elapsed() - at < Duration::from_millis(500);
        (since, in_a_row) = match (is_well, in_a_row) {
            (false, _) => (at, 0),
            (true, 0) => (at, 1),
            (true, row) => (since, row + 1),
        };
        if in_a_row == 10 {
            return Some(since);
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}
