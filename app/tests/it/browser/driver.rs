//! Debian's Chromium, driven by its chromedriver over the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).
//!
//! The few commands that the tests need are JSON over hyper. The crates for it would bring second versions of http,
//! cookie and ICU (fantoccini) or a second HTTP client with its TLS (thirtyfour).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long a page may take to show what a test waits for; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(20);
/// The key that WebDriver gives to elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Serves until standard input ends, then ends every browser and removes their profiles.
const SCRIPT: &str = r#"
dir=$(mktemp -d /tmp/blog-chromium.XXXXXX)
HOME=$dir XDG_CONFIG_HOME=$dir XDG_CACHE_HOME=$dir chromedriver --port=0 >"$dir/log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$dir"' EXIT
for _ in $(seq 300); do grep -q 'on port' "$dir/log" && break; sleep 0.1; done
echo "$dir $(sed -n 's/.*on port \([0-9]*\)\..*/\1/p' "$dir/log")"
read -r _ || true
"#;

struct Driver {
    folder: String,
    port: u16,
    /// Closed with the process.
    _input: ChildStdin,
    _shell: Child,
}

static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();
static PROFILES: AtomicU32 = AtomicU32::new(0);

fn start() -> Option<Driver> {
    let is_there = |program: &str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).exists())
    };
    if !is_there("chromium") || !is_there("chromedriver") {
        return None;
    }
    let mut shell =
        Command::new("sh").args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (folder, port) = line.trim().split_once(' ').unwrap_or_default();
    let port = port.parse().unwrap_or_else(|_| panic!("chromedriver did not start: {line:?}"));
    Some(Driver { folder: folder.to_owned(), port, _input: shell.stdin.take().unwrap(), _shell: shell })
}

/// A browser with a profile of its own; it is closed at the end of the test, also of one that fails.
pub(crate) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    port: u16,
    session: String,
    /// The blog's address, without a slash at its end.
    pub(crate) origin: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        let head =
            format!("DELETE {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", self.session);
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.write_all(head.as_bytes());
        // Its answer says that the browser is gone; the connection itself stays open.
        let _ = stream.read(&mut [0; 1024]);
    }
}

impl Browser {
    /// A new browser for the blog at `origin`, or `None` (and a word about it) where Chromium is not installed and
    /// `BLOG_TEST_CHROMIUM` is not `required`.
    pub(crate) async fn start(origin: &str) -> Option<Self> {
        Self::start_with(origin, &json!({"intl.accept_languages": "en-US,en"})).await
    }

    /// A browser with preferences as Chromium writes them into its profile.
    pub(crate) async fn start_with(origin: &str, preferences: &Value) -> Option<Self> {
        let Some(driver) = DRIVER.get_or_init(start) else {
            assert!(
                std::env::var("BLOG_TEST_CHROMIUM").as_deref() != Ok("required"),
                "no Chromium found; install chromium and chromium-driver"
            );
            eprintln!("skipped: chromium and chromium-driver are not installed");
            return None;
        };
        let profile = format!("{}/{}", driver.folder, PROFILES.fetch_add(1, Ordering::Relaxed));
        let mut browser = Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            port: driver.port,
            session: "/session".to_owned(),
            origin: origin.to_owned(),
        };
        let started = browser.call(Method::POST, "", &capabilities(&profile, preferences)).await.unwrap();
        browser.session = format!("/session/{}", started["sessionId"].as_str().unwrap());
        browser.as_desktop().await;
        browser.prefers("light").await;
        Some(browser)
    }

    /// One command; the error is WebDriver's own sentence.
    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == Method::POST { body.to_string() } else { String::new() };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{}{path}", self.port, self.session))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let mut answer: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or(""))),
            None => Ok(value),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, &body).await.unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    /// Opens a page of the blog.
    pub(crate) async fn open(&self, path: &str) {
        self.post("/url", json!({"url": format!("{}{path}", self.origin)})).await;
    }

    /// The path that the browser shows, with its query.
    pub(crate) async fn path(&self) -> String {
        self.text_of("location.pathname + location.search").await
    }

    /// Does something with the element that is found; where the page was replaced in between, with the one that is
    /// found in the new page.
    async fn act(&self, (using, value): (&str, &str), action: &str, body: Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.post("/element", json!({"using": using, "value": value})).await;
            let element = found[ELEMENT].as_str().unwrap();
            match self.call(Method::POST, &format!("/element/{element}/{action}"), &body).await {
                Ok(_) => return,
                Err(error) if error.starts_with("stale element") && Instant::now() < deadline => {}
                Err(error) => panic!("{action} on {value}: {error}"),
            }
        }
    }

    /// Clicks what a selector finds.
    pub(crate) async fn click(&self, css: &str) {
        self.act(("css selector", css), "click", json!({})).await;
    }

    /// Clicks the button with this text, which does something in the page.
    pub(crate) async fn press(&self, label: &str) {
        self.act(("xpath", &format!("//button[normalize-space()='{label}']")), "click", json!({})).await;
    }

    /// Clicks the button with this text, which sends a form.
    pub(crate) async fn submit(&self, label: &str) {
        self.leads(self.press(label)).await;
    }

    /// Clicks the link with this text.
    pub(crate) async fn follow(&self, label: &str) {
        let link = format!("//a[normalize-space()='{label}']");
        self.leads(self.act(("xpath", &link), "click", json!({}))).await;
    }

    /// Does what leads to another page, and waits until that is there.
    pub(crate) async fn leads(&self, go: impl Future<Output = ()>) {
        self.run("window.isLeft = true").await;
        go.await;
        self.until("!window.isLeft && document.readyState === 'complete'").await;
    }

    /// Types into a field, after what stands there.
    pub(crate) async fn type_into(&self, css: &str, text: &str) {
        self.act(("css selector", css), "value", json!({"text": text})).await;
    }

    /// Types keys to whatever has the focus.
    pub(crate) async fn keys(&self, text: &str) {
        let active = self.call(Method::GET, "/element/active", &Value::Null).await.unwrap();
        let element = active[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/value"), json!({"text": text})).await;
    }

    /// The value of an expression.
    pub(crate) async fn value_of(&self, expression: &str) -> Value {
        self.evaluate(expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn evaluate(&self, expression: &str) -> Result<Value, String> {
        let body = json!({"script": format!("return ({expression});"), "args": []});
        self.call(Method::POST, "/execute/sync", &body).await
    }

    /// The value of an expression that is a text.
    pub(crate) async fn text_of(&self, expression: &str) -> String {
        self.value_of(expression).await.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script; its `return` is the result.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Runs a script that hands its result to the function that is its last argument.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        self.post("/execute/async", json!({"script": script, "args": []})).await
    }

    /// Waits until an expression is true. One that fails is not true yet: a page on its way has no body.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate(&format!("Boolean({expression})")).await != Ok(json!(true)) {
            if Instant::now() >= deadline {
                let page =
                    self.evaluate("location.href + '\\n' + document.body.innerText.slice(0, 600)").await;
                panic!("`{expression}` never became true; the page says:\n{page:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page shows a text.
    pub(crate) async fn sees(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Whether the page shows a text.
    pub(crate) async fn shows(&self, text: &str) -> bool {
        self.value_of(&format!("document.body.innerText.includes({})", json!(text))).await == json!(true)
    }

    async fn set_window(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// The size and manner of a phone.
    pub(crate) async fn as_phone(&self) {
        self.set_window(390, 844).await;
    }

    /// The size of a desktop's window.
    pub(crate) async fn as_desktop(&self) {
        self.set_window(1280, 900).await;
    }

    /// What the reader's system prefers: `light` or `dark`.
    pub(crate) async fn prefers(&self, scheme: &str) {
        // Without smooth scrolling, so that what is to be clicked stands still.
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// A command of Chromium's own protocol.
    async fn devtools(&self, command: &str, params: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    /// Keeps a picture of the whole page in the folder that `BLOG_SCREENSHOTS` names, for people to look at.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("BLOG_SCREENSHOTS") else { return };
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.devtools("Page.captureScreenshot", params).await;
        let file = std::path::Path::new(&folder).join(format!("{name}.base64"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(file, taken["data"].as_str().unwrap()).unwrap();
    }

    /// What the browser complained about since the last call, such as blocked scripts.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect()
    }
}

fn capabilities(profile: &str, preferences: &Value) -> Value {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1280,900",
    ];
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.push(format!("--user-data-dir={profile}"));
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "timeouts": {"implicit": 10_000, "script": 60_000},
        "unhandledPromptBehavior": "accept",
        "goog:loggingPrefs": {"browser": "WARNING"},
        "goog:chromeOptions": {"args": arguments, "prefs": preferences},
    }}})
}
