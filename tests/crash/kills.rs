//! `kill -9`, at any moment.

use super::world::World;
use crate::support::process::ServerProcess;

/// The longest that a life under load goes on, in milliseconds.
const LIFE_MS: f64 = 1_500.0;
/// The longest that a life may take to start before it is killed, in milliseconds.
const START_MS: f64 = 250.0;
/// The longest that a life may take to stop before it is killed, in milliseconds.
const STOP_MS: f64 = 300.0;

/// Attempts in flight, and outcomes that wait to be recorded, by the server's usual limits.
const UNRECORDED_MAX: usize = 4_096 + 4_096;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_and_repeats_only_what_was_in_flight() {
    let mut world = World::new().await;
    let mut round = 0;
    while world.goes_on() {
        round += 1;
        let server = world.start();
        let callers = world.callers.begin(server.address);
        tokio::time::sleep(world.moment(LIFE_MS)).await;
        end_by_force(&mut world, server, round % 3 == 0).await;
        callers.join_all().await;
        for _ in 0..round % 4 {
            let after = world.moment(START_MS);
            world.start_and_kill(after).await;
        }
        if round % 2 == 0 {
            // Looks into what the kill left, so the next life finds it tidied up.
            world.ledger();
        }
        if round % 10 == 0 {
            let server = world.start();
            world.expect_all_arrived(&server, &format!("after {round} rounds")).await;
            server.kill();
            world.was_killed();
        }
    }
    let verdict = world.judge().await;
    eprintln!("kill -9, {round} rounds: {verdict}");
    assert!(verdict.killed >= round && verdict.acknowledged > 0);
    assert!(verdict.accepted >= verdict.acknowledged as u64);
    assert!(verdict.repeated_most <= UNRECORDED_MAX, "more than can be in flight");
}

/// Kills a server, or tells it to stop and kills it while it does.
async fn end_by_force(world: &mut World, server: ServerProcess, while_stopping: bool) {
    if while_stopping {
        server.ask_to_stop();
        tokio::time::sleep(world.moment(STOP_MS)).await;
    }
    server.kill();
    world.was_killed();
}
