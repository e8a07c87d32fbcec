use crate::support::{Origin, get, router, router_with};

fn route(endpoint: &str) -> String {
    format!("routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{endpoint}']}}]}}]")
}

#[tokio::test]
async fn an_endpoint_may_be_a_name() {
    let stable = Origin::good("stable").await;
    let router = router(&route(&format!("localhost:{}", stable.address.port()))).await;
    for _ in 0..5 {
        assert_eq!(get(router.address, "/").await.text(), "stable");
    }
    let page = get(router.admin_address, "/routes").await;
    assert!(page.text().contains(&stable.address.to_string()), "{}", page.text());
}

#[tokio::test]
async fn a_name_that_nobody_knows_answers_503_and_is_asked_for_again() {
    let router = router_with(&route("nobody.invalid:80"), &["--dns-interval=100ms"]).await;
    assert_eq!(get(router.address, "/").await.status, 503);
    assert_eq!(get(router.admin_address, "/readyz").await.status, 200, "other routes are not held up");
}
