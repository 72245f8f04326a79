//! rumqttc as an application that does what it is told: test/support/agents.py.
//!
//!     agent 3.1.1|5
use std::io::{BufRead, Write};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const PACKET_MAX: usize = 2 << 20;

/// What the event loop has seen that a request waits for.
enum Seen {
    Connected(bool),
    Subscribed(bool),
    Published,
    Ended,
}

/// In one piece: the event loop speaks, too.
fn say(line: String) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn arrived(topic: &str, qos: u8, retain: bool, payload: &[u8]) {
    let sum = payload
        .iter()
        .enumerate()
        .fold(0u32, |sum, (n, b)| sum.wrapping_add((n as u32 + 1).wrapping_mul(u32::from(*b))));
    say(format!("message {topic} {qos} {} {} {sum}", u8::from(retain), payload.len()));
}

struct Connect<'a> {
    port: u16,
    id: &'a str,
    clean: bool,
    expiry: u32,
    will: Option<(&'a str, &'a str)>,
}

/// The two versions have types of their own, of the same names.
macro_rules! library {
    ($name:ident, $($module:ident)::+, $options:expr, $packets:ident, $good:pat, $topic:expr) => {
        mod $name {
            use super::*;
            use $($module)::+ as library;
            use library::mqttbytes::QoS;
            use library::{Client, Connection, Event, MqttOptions};

            pub struct Agent {
                client: Option<Client>,
                seen: Option<Receiver<Seen>>,
            }

            fn qos_of(n: u8) -> QoS {
                [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n as usize]
            }

            fn watch(mut connection: Connection, seen: Sender<Seen>) {
                use $packets::Packet;
                for event in connection.iter() {
                    let what = match event {
                        Ok(Event::Incoming(Packet::ConnAck(a))) => Seen::Connected(a.session_present),
                        Ok(Event::Incoming(Packet::SubAck(a))) =>
                            Seen::Subscribed(a.return_codes.iter().all(|c| matches!(c, $good))),
                        Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => Seen::Published,
                        Ok(Event::Incoming(Packet::Publish(p))) => {
                            let topic: &str = $topic(&p.topic);
                            arrived(topic, p.qos as u8, p.retain, &p.payload);
                            continue;
                        }
                        Ok(Event::Outgoing(rumqttc::Outgoing::Publish(0))) => Seen::Published,
                        Ok(_) => continue,
                        Err(_) => break,
                    };
                    if seen.send(what).is_err() {
                        return;
                    }
                }
                let _ = seen.send(Seen::Ended);
            }

            impl Agent {
                pub fn new() -> Self {
                    Agent { client: None, seen: None }
                }

                fn client(&self) -> &Client {
                    self.client.as_ref().unwrap()
                }

                fn next(&self) -> Result<Seen, String> {
                    self.seen.as_ref().unwrap().recv_timeout(PATIENCE).map_err(|e| e.to_string())
                }

                pub fn connect(&mut self, c: &Connect) -> Result<bool, String> {
                    let mut options = MqttOptions::new(c.id, "127.0.0.1", c.port);
                    $options(&mut options, c);
                    let (client, connection) = Client::new(options, 10);
                    let (sender, receiver) = channel();
                    self.client = Some(client);
                    self.seen = Some(receiver);
                    std::thread::spawn(move || watch(connection, sender));
                    match self.next()? {
                        Seen::Connected(present) => Ok(present),
                        _ => Err("no CONNACK".into()),
                    }
                }

                pub fn subscribe(&mut self, topic: &str, qos: u8) -> Result<(), String> {
                    self.client().subscribe(topic, qos_of(qos)).map_err(|e| e.to_string())?;
                    match self.next()? {
                        Seen::Subscribed(true) => Ok(()),
                        _ => Err("refused".into()),
                    }
                }

                pub fn publish(&mut self, topic: &str, qos: u8, retain: bool, payload: Vec<u8>)
                    -> Result<(), String> {
                    self.client().publish(topic, qos_of(qos), retain, payload).map_err(|e| e.to_string())?;
                    match self.next()? {
                        Seen::Published => Ok(()),
                        _ => Err("refused".into()),
                    }
                }

                pub fn disconnect(&mut self) -> Result<(), String> {
                    self.client().disconnect().map_err(|e| e.to_string())?;
                    while !matches!(self.next()?, Seen::Ended) {}
                    Ok(())
                }
            }
        }
    };
}

fn old_options(o: &mut rumqttc::MqttOptions, c: &Connect) {
    o.set_clean_session(c.clean).set_max_packet_size(PACKET_MAX, PACKET_MAX);
    if let Some((topic, text)) = c.will {
        o.set_last_will(rumqttc::LastWill::new(topic, text, rumqttc::QoS::AtLeastOnce, false));
    }
}

fn five_options(o: &mut rumqttc::v5::MqttOptions, c: &Connect) {
    o.set_clean_start(c.clean);
    o.set_connect_properties(rumqttc::v5::mqttbytes::v5::ConnectProperties {
        session_expiry_interval: Some(c.expiry),
        max_packet_size: Some(PACKET_MAX as u32),
        ..rumqttc::v5::mqttbytes::v5::ConnectProperties::new()
    });
    if let Some((topic, text)) = c.will {
        let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
        o.set_last_will(rumqttc::v5::mqttbytes::v5::LastWill::new(topic, text, qos, false, None));
    }
}

use rumqttc::mqttbytes::v4 as packets_4;
use rumqttc::v5::mqttbytes::v5 as packets_5;

library!(old, rumqttc, super::old_options, packets_4,
    packets_4::SubscribeReasonCode::Success(_), |t| t);
library!(five, rumqttc::v5, super::five_options, packets_5,
    packets_5::SubscribeReasonCode::Success(_), |t| std::str::from_utf8(t).unwrap());

macro_rules! obey {
    ($agent:expr, $w:expr) => {
        match $w[0] {
            "connect" => $agent
                .connect(&Connect {
                    port: $w[1].parse().unwrap(),
                    id: $w[2],
                    clean: $w[3] == "1",
                    expiry: $w[4].parse().unwrap(),
                    will: ($w[5] != "-").then(|| ($w[5], $w[6])),
                })
                .map(|present| format!("connected {}", u8::from(present))),
            "subscribe" => $agent.subscribe($w[1], $w[2].parse().unwrap()).map(|()| "subscribed".into()),
            "publish" => {
                let size = $w[5].parse().unwrap();
                let payload = $w[4].bytes().cycle().take(size).collect();
                $agent
                    .publish($w[1], $w[2].parse().unwrap(), $w[3] == "1", payload)
                    .map(|()| "published".into())
            }
            _ => $agent.disconnect().map(|()| "disconnected".into()),
        }
    };
}

fn main() {
    let five = std::env::args().nth(1).as_deref() == Some("5");
    let (mut a, mut b) = (old::Agent::new(), five::Agent::new());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let w: Vec<&str> = line.split(' ').collect();
        let answer = if five { obey!(b, w) } else { obey!(a, w) };
        say(answer.unwrap_or_else(|e: String| format!("failed {e}")));
    }
}
