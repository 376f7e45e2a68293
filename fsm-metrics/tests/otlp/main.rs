//! Spans as a collector gets them, by both protocols.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod receiver;

use std::time::Duration;

use fsm_metrics::otlp::{Otlp, OtlpConfig, OtlpProtocol};
use fsm_metrics::trace::{TARGET, UntilEnd, continue_trace, current_traceparent, fail};
use fsm_metrics::{Metrics, MetricsConfig, SubscriberMetrics};
use receiver::{Receiver, attribute};
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt as _;

/// Far more than a loopback takes; the end of a test, not its pace.
const PATIENCE: Duration = Duration::from_secs(30);

fn span(name: &str) -> tracing::Span {
    match name {
        "task.execute_sync" => tracing::trace_span!(
            target: TARGET, "task.execute_sync", task_id = "label/print", idle = Empty, error_type = Empty,
            otel.status_code = Empty
        ),
        _ => tracing::trace_span!(target: TARGET, "runtime.execute_tool", tool_id = "label/print"),
    }
}

fn config(receiver: &Receiver, protocol: OtlpProtocol) -> OtlpConfig {
    let mut config = OtlpConfig::new(format!("http://{}", receiver.address), protocol);
    config.headers = vec![("x-token".to_owned(), "geheim".to_owned())];
    config.instance = Some("edge-01".to_owned());
    config
}

/// Does something under an exporter, and waits until all of it was exported.
fn traced(config: &OtlpConfig, work: impl FnOnce()) {
    let otlp = Otlp::start(config).unwrap();
    let subscriber = tracing_subscriber::registry().with(otlp.layer());
    tracing::subscriber::with_default(subscriber, work);
    otlp.finish(PATIENCE);
}

#[track_caller]
fn check_protocol(receiver: &Receiver, protocol: OtlpProtocol) {
    traced(&config(receiver, protocol), || {
        let outer = span("task.execute_sync");
        outer.in_scope(|| drop(span("runtime.execute_tool")));
        fail(&outer, "timeout");
        // Of other targets nothing is exported, whatever they are called.
        tracing::error_span!("task.execute_sync").in_scope(|| tracing::error!("no"));
    });
    let spans = receiver.received.spans();
    let [inner, outer] = &spans[..] else { panic!("two spans, the inner ends first: {spans:?}") };
    assert_eq!((inner.name.as_str(), outer.name.as_str()), ("runtime.execute_tool", "task.execute_sync"));
    assert_eq!((&inner.trace_id, &inner.parent_span_id), (&outer.trace_id, &outer.span_id));
    assert_eq!(attribute(outer, "task_id").as_deref(), Some("label/print"));
    assert_eq!(attribute(outer, "error_type").as_deref(), Some("timeout"));
    assert_eq!(outer.status.as_ref().unwrap().code, 2, "a failed span has the status Error: {outer:?}");
    assert_eq!(inner.status.as_ref().map_or(0, |status| status.code), 0, "{inner:?}");
    let requests = receiver.received.requests();
    assert!(requests.iter().all(|request| request.header.as_deref() == Some("geheim")), "{requests:?}");
    let resource = format!("{:?}", requests[0].request.resource_spans[0].resource);
    assert!(resource.contains("fsmd") && resource.contains("edge-01"), "{resource}");
}

#[test]
fn spans_arrive_by_grpc_with_their_attributes_status_and_headers() {
    check_protocol(&Receiver::grpc(), OtlpProtocol::Grpc);
}

#[test]
fn spans_arrive_by_http_with_their_attributes_status_and_headers() {
    check_protocol(&Receiver::http(), OtlpProtocol::Http);
}

// spec: X-8
#[test]
fn a_trace_goes_on_from_the_program_before_to_the_program_after() {
    let receiver = Receiver::http();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    traced(&config(&receiver, OtlpProtocol::Http), || {
        assert_eq!(current_traceparent(), None, "no trace is active");
        let call = span("task.execute_sync");
        continue_trace(&call, &format!("00-{trace}-b7ad6b7169203331-01"));
        let passed_on = call.in_scope(current_traceparent).unwrap();
        assert!(passed_on.starts_with(&format!("00-{trace}-")) && passed_on.ends_with("-01"), "{passed_on}");
        assert!(!passed_on.contains("b7ad6b7169203331"), "its own id is passed on: {passed_on}");
        // What nobody can read begins a new trace.
        let other = span("task.execute_sync");
        continue_trace(&other, "00-nonsense-01");
        assert!(!other.in_scope(current_traceparent).unwrap().contains(trace));
    });
    let spans = receiver.received.spans();
    let parents: Vec<String> = spans.iter().map(|span| format!("{:02x?}", span.parent_span_id)).collect();
    assert!(parents.iter().any(|parent| parent.starts_with("[b7, ad, 6b")), "{parents:?}");
}

#[test]
fn what_is_not_sampled_is_not_exported_and_what_began_elsewhere_is() {
    let receiver = Receiver::http();
    let mut config = config(&receiver, OtlpProtocol::Http);
    config.sample = 0.0;
    traced(&config, || {
        (0..100).for_each(|_| drop(span("runtime.execute_tool")));
        let call = span("task.execute_sync");
        continue_trace(&call, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        call.in_scope(|| ());
    });
    let names: Vec<String> = receiver.received.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["task.execute_sync"]);
}

#[test]
fn spans_in_which_nothing_happened_are_left_out_and_dropped_ones_have_failed() {
    let receiver = Receiver::http();
    traced(&config(&receiver, OtlpProtocol::Http), || {
        let idle = span("task.execute_sync");
        idle.record("idle", true);
        drop(idle);
        drop(UntilEnd::new(span("task.execute_sync")));
        UntilEnd::new(span("task.execute_sync")).end(None);
    });
    let spans = receiver.received.spans();
    let errors: Vec<_> = spans.iter().map(|span| attribute(span, "error_type")).collect();
    assert_eq!(errors, [Some("dropped".to_owned()), None]);
}

#[test]
fn nobody_waits_for_a_collector_that_is_not_there_and_what_is_lost_is_counted() {
    // A listener that never accepts: connections are made and nothing is answered.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for protocol in [OtlpProtocol::Grpc, OtlpProtocol::Http] {
        let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new()).unwrap();
        let mut config = OtlpConfig::new(format!("http://{address}"), protocol);
        config.timeout = Duration::from_millis(50);
        let otlp = Otlp::start(&config).unwrap();
        // Series go with their last user.
        let _kept = metrics.subscriber("otlp");
        otlp.count_lost(SubscriberMetrics::new(metrics.subscriber("otlp")));
        let subscriber = tracing_subscriber::registry().with(otlp.layer());
        tracing::subscriber::with_default(subscriber, || {
            // More than the queue holds, without a pause.
            (0..20_000).for_each(|_| drop(span("runtime.execute_tool")));
        });
        otlp.finish(PATIENCE);
        let scrape = metrics.encode();
        assert!(
            scrape.contains("fsm_events_dropped_total{subscriber=\"otlp\"} 20000"),
            "{protocol:?}: {scrape}"
        );
    }
}
