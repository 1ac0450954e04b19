//! A client's connection to the service: one connection as long as it lasts. The client always
//! knows whether its request may have had an effect.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::service::{Answer, Connection, connect};

/// The outcome of a request.
#[derive(Debug)]
pub enum Reply {
    /// A final answer: done, or refused without an effect.
    Answered(Answer),
    /// An unknown outcome: no answer came, or an answer that says "later" (a server that lost its
    /// database in the middle of a commit does not know the outcome either).
    Lost(&'static str),
    /// The connection was refused, so the request had no effect.
    NotSent,
}

/// The counters of a whole run.
#[derive(Debug, Default)]
pub struct Figures(Mutex<BTreeMap<&'static str, u64>>);

impl Figures {
    pub fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&self, what: &'static str, more: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += more;
    }

    pub fn of(&self, what: &str) -> u64 {
        let figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        figures.get(what).copied().unwrap_or_default()
    }

    pub fn lines(&self) -> String {
        let figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        figures.iter().map(|(what, count)| format!("  {count:>8}  {what}\n")).collect()
    }
}

/// One client's connection.
pub struct Wire<'a> {
    port: u16,
    connection: Option<Connection>,
    figures: &'a Figures,
}

impl<'a> Wire<'a> {
    pub fn new(port: u16, figures: &'a Figures) -> Self {
        Self { port, connection: None, figures }
    }

    pub fn json(&mut self, method: &str, path: &str, bearer: Option<&str>, body: &Value) -> Reply {
        let bearer = bearer.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(bearer.as_deref().map(|value| ("Authorization", value)));
        self.ask(method, path, &headers, &body.to_string())
    }

    pub fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.ask("POST", path, &headers, &body)
    }

    pub fn get(&mut self, path: &str, bearer: &str) -> Reply {
        self.ask("GET", path, &[("Authorization", &format!("Bearer {bearer}"))], "")
    }

    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match connect(self.port) {
                Ok(connection) => connection,
                Err(_) => {
                    self.figures.count("requests with a refused connection");
                    return Reply::NotSent;
                }
            },
        };
        match connection.exchange(method, path, headers, body) {
            Ok(answer) => {
                self.connection = Some(connection);
                match answer.status {
                    503 if answer.header("retry-after").is_some() => {
                        self.figures.count("answers 503");
                        Reply::Lost("503")
                    }
                    _ => Reply::Answered(answer),
                }
            }
            Err(_) => {
                self.figures.count("answers lost");
                Reply::Lost("no answer")
            }
        }
    }
}
