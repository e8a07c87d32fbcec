//! A canary whose answer is not what it said it would be: readers do not notice, and nothing is carried out twice.

use crate::{
    h2_origin::{Call, H2Client, H2Origin, Reply},
    scripted::Scripted,
    support::{Behaviour, Client, GET, Origin, POST, eventually, metric, once, router, routes},
};

const CANARY_ERRORS: &str =
    "huidu_router_first_attempt_duration_seconds_count{class=\"error\",route=\"blog\",track=\"canary\"}";

const TIMEOUTS: &str = "timeouts: {request: 5s, backendRequest: 300ms}";

const POST_BY_H2: Call = Call { method: "POST", path: "/", headers: &[("content-length", "2")], body: b"hi" };

#[tokio::test]
async fn stable_answers_where_a_body_ends_early_while_it_is_held_back() {
    for behaviour in [
        Behaviour::Length(1_000, 0),
        Behaviour::Length(60_000, 59_999),
        Behaviour::Chunks(10),
        Behaviour::Chunks(60_000),
    ] {
        let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", behaviour).await);
        let router = router(&routes((&[&stable], 0), (&[&canary], 1), TIMEOUTS)).await;
        let mut client = Client::connect(router.address).await;
        let h2 = H2Client::connect(router.address).await;
        for _ in 0..3 {
            assert_eq!(client.get().await.text(), "stable", "{behaviour:?}");
            assert_eq!(h2.call(Call::get("/")).await.unwrap().body, b"stable", "{behaviour:?}");
        }
        assert_eq!((canary.requests(), stable.requests()), (6, 6), "{behaviour:?}");
        assert_eq!(metric(&router, CANARY_ERRORS).await, 6.0, "{behaviour:?}");
    }
}

#[tokio::test]
async fn stable_answers_where_the_rest_of_a_stated_body_never_comes() {
    let stable = Origin::good("stable").await;
    let canary = Scripted::start("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789").await;
    let yaml = routes((&[&stable], 0), (&[&stable], 1), TIMEOUTS);
    let (before, after) = yaml.rsplit_once(&stable.address.to_string()).unwrap();
    let router = router(&format!("{before}{}{after}", canary.address)).await;
    assert_eq!(once(router.address, GET).await.text(), "stable");
    let h2 = H2Client::connect(router.address).await;
    assert_eq!(h2.call(Call::get("/")).await.unwrap().body, b"stable");
    assert_eq!(stable.requests(), 2);
    assert_eq!(metric(&router, CANARY_ERRORS).await, 2.0);
}

#[tokio::test]
async fn an_answer_that_breaks_after_bytes_went_out_breaks_for_the_reader_and_is_charged() {
    for behaviour in [Behaviour::Length(300_000, 200_000), Behaviour::Chunks(200_000)] {
        let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", behaviour).await);
        let router = router(&routes((&[&stable], 0), (&[&canary], 1), TIMEOUTS)).await;
        let mut client = Client::connect(router.address).await;
        client.send(GET).await;
        assert!(client.answer().await.is_none(), "{behaviour:?}: a whole answer");
        let h2 = H2Client::connect(router.address).await;
        assert!(h2.call(Call::get("/")).await.is_err(), "{behaviour:?}: a whole answer");
        assert_eq!((canary.requests(), stable.requests()), (2, 0), "{behaviour:?}");
        eventually("both are charged", || async { metric(&router, CANARY_ERRORS).await == 2.0 }).await;
    }
}

#[tokio::test]
async fn what_a_canary_sends_beyond_its_length_reaches_nobody() {
    let canary = Origin::start("canary", Behaviour::Length(4, 1_000)).await;
    let router = router(&routes((&[], 0), (&[&canary], 1), TIMEOUTS)).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..5 {
        assert_eq!(client.get().await.text(), "xxxx");
        client.send(POST).await;
        assert_eq!(client.answer().await.unwrap().text(), "xxxx");
    }
    assert_eq!(canary.requests(), 10);
}

#[tokio::test]
async fn a_post_whose_answer_breaks_off_is_not_sent_again() {
    for behaviour in [
        Behaviour::Length(1_000, 10),
        Behaviour::Chunks(10),
        Behaviour::Length(300_000, 200_000),
        Behaviour::Chunks(200_000),
    ] {
        let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", behaviour).await);
        let router = router(&routes((&[&stable], 0), (&[&canary], 1), TIMEOUTS)).await;
        let mut client = Client::connect(router.address).await;
        client.send(POST).await;
        assert!(client.answer().await.is_none(), "{behaviour:?}: a whole answer");
        let h2 = H2Client::connect(router.address).await;
        assert!(h2.call(POST_BY_H2).await.is_err(), "{behaviour:?}: a whole answer");
        assert_eq!((canary.requests(), stable.requests()), (2, 0), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_post_of_http_2_is_never_sent_twice() {
    for (behaviour, status) in [
        (Behaviour::Hang, 504),
        (Behaviour::Reset, 502),
        (Behaviour::Garbage, 502),
        (Behaviour::Status(500), 500),
    ] {
        let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", behaviour).await);
        let router = router(&routes((&[&stable], 0), (&[&canary], 1), TIMEOUTS)).await;
        let h2 = H2Client::connect(router.address).await;
        assert_eq!(h2.call(POST_BY_H2).await.unwrap().status, status, "{behaviour:?}");
        assert_eq!((canary.requests(), stable.requests()), (1, 0), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_backend_of_http_2_gets_no_post_twice_and_readers_see_only_good_answers() {
    for (reply, status) in [
        (Reply::Hang, Some(504)),
        (Reply::BreakOff, None),
        (Reply::Reset(2), Some(502)),
        (Reply::Status(500), Some(500)),
    ] {
        let (stable, canary) = (H2Origin::good("stable").await, H2Origin::good("canary").await);
        canary.now(reply);
        let backend = |name: &str, weight: u32, origin: &H2Origin| {
            let address = origin.address;
            format!(
                "{{name: {name}, track: {name}, weight: {weight}, appProtocol: kubernetes.io/h2c, endpoints: ['{address}']}}"
            )
        };
        let backends = format!("{}, {}", backend("stable", 0, &stable), backend("canary", 1, &canary));
        let router = router(&format!("routes: [{{name: blog, {TIMEOUTS}, backends: [{backends}]}}]")).await;
        let h2 = H2Client::connect(router.address).await;
        let posted = h2.call(POST_BY_H2).await.ok().map(|answer| answer.status);
        assert_eq!(posted, status, "{reply:?}");
        let mut client = Client::connect(router.address).await;
        client.send(POST).await;
        assert_eq!(client.answer().await.map(|answer| answer.status), status, "{reply:?}");
        assert_eq!((canary.requests(), stable.requests()), (2, 0), "{reply:?}");

        assert_eq!(Client::connect(router.address).await.get().await.text(), "stable", "{reply:?}");
        assert_eq!(h2.call(Call::get("/")).await.unwrap().body, b"stable", "{reply:?}");
        assert_eq!((canary.requests(), stable.requests()), (4, 2), "{reply:?}");
        assert_eq!(metric(&router, CANARY_ERRORS).await, if status == Some(500) { 0.0 } else { 4.0 });
    }
}
