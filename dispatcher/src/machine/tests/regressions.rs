//! Schedules that found something, as they were shrunk.

use hookwire_protocol::v1::{SessionEndReason::*, WhenFull};

use super::{
    schedule::{Fired::*, Hello, Op::*, Schedule, Wants},
    world::World,
};

#[test]
fn debug() {
    use super::schedule::{Ack as Acks, Said};
    let ops = vec![
        Subscribe {
            plugin: 0,
            hello: Hello {
                instance: 0,
                wants: Wants::Everything,
                announce: false,
                window: 1,
                when_full: WhenFull::DropOldest,
            },
        },
        Publish { gateway: 0, emitter: 0, events: vec![Event { session: 0, key: 0, hook: 0 }] },
        Serve { plugin: 0 },
        Publish { gateway: 0, emitter: 0, events: vec![Event { session: 1, key: 0, hook: 0 }] },
        Pull { plugin: 0, frames: 1 },
        Subscribe {
            plugin: 0,
            hello: Hello {
                instance: 0,
                wants: Wants::Everything,
                announce: true,
                window: 1,
                when_full: WhenFull::DropOldest,
            },
        },
        Pull { plugin: 0, frames: 3 },
        Ack { plugin: 0, ack: Acks { through: 0, exceptions: vec![(1, Said::Reject)] } },
    ];
    World::play(&Schedule { lag: 0, queue: 50, ops }).map(drop).unwrap();
}
