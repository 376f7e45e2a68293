//! Flows against real peers: mosquitto and its clients, and HTTP over TCP.

mod support;

mod peers {
    mod http;
    mod mqtt;
    mod sharing;
}
