//! The people who read.

use hyper::header::HeaderValue;

use crate::{cookies::Cookies, scenario::Identity};

/// Someone with an identity and cookies, who comes back for more sessions.
#[derive(Debug)]
pub struct Person {
    /// What the target has set.
    pub cookies: Cookies,
    number: usize,
}

impl Person {
    /// A person who was never here; the identity's cookie is set from the start.
    pub fn new(number: usize, identity: &Identity) -> Self {
        let mut person = Self { number, cookies: Cookies::default() };
        person.forget(identity);
        person
    }

    /// `user-N`.
    pub fn name(&self) -> String {
        format!("user-{}", self.number)
    }

    /// Ends every login: only the identity's cookie stays.
    pub fn forget(&mut self, identity: &Identity) {
        self.cookies = Cookies::default();
        if let Identity::Cookie(name) = identity
            && let Ok(cookie) = HeaderValue::from_str(&format!("{name}={}", self.name()))
        {
            self.cookies.absorb(&cookie);
        }
    }
}
