//! What readers and authors do, in a real browser.

mod access;
mod driver;
mod reading;
mod writing;

use blog::store::Role;
use blog::web::{CookieSafety, Options, router};
use blog::{Drain, Server};

pub(crate) use driver::Browser;

use crate::support::{TestBlog, options};

/// The password of every account in tests.
const PASSWORD: &str = "correct horse battery";

/// A blog on a port of this machine, with accounts `ada` (author), `ed` (editor) and `root` (administrator).
pub(super) struct Site {
    pub(super) blog: TestBlog,
    pub(super) origin: String,
}

impl Site {
    /// With so many example posts.
    pub(super) async fn with_posts(posts: u32) -> Self {
        let mut blog = TestBlog::with(Options { cookies: CookieSafety::PlainHttp, ..options() }).await;
        for (name, role) in [("ada", Role::Author), ("ed", Role::Editor), ("root", Role::Admin)] {
            blog = blog.signed_in(name, role).await.signed_out();
        }
        if posts > 0 {
            blog::seed::fill(&blog.app.store, posts, None).await.unwrap();
        }
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), router(&blog.app)).await.unwrap();
        let origin = format!("http://{}", server.address().unwrap());
        let drain = Drain { delay: std::time::Duration::ZERO, timeout: std::time::Duration::ZERO };
        tokio::spawn(server.serve(std::future::pending(), || {}, drain));
        Self { blog, origin }
    }
}

impl Browser {
    /// Signs in through the page.
    pub(super) async fn sign_in(&self, name: &str) {
        self.open("/login").await;
        self.type_into("[name=username]", name).await;
        self.type_into("[name=password]", PASSWORD).await;
        self.submit("Sign in").await;
        self.until("location.pathname === '/desk'").await;
    }
}
