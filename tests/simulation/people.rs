//! Who uses the server: what they do, drawn from the seed.

use std::sync::Arc;

use hookwright::domain::{
    Application, ApplicationId, Endpoint, EndpointId, EndpointState, Error, ErrorCode, MessageId,
    Metadata, Reference, SecretText, SigningSecret,
};
use hookwright::engine::{Engine, Pending};
use hookwright::entropy::Entropy;
use hookwright::store::{EndpointChange, NewMessage, Store};

use super::dice::Dice;
use super::model::{Kept, Standing};
use super::plan;
use super::store::SimulatedStore;
use super::world::World;

const CHANNELS: [&str; 2] = ["red", "blue"];

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Publish,
    Resend,
    Enable(Pending),
    Change,
    SwitchOff,
    Discard,
    DeleteEndpoint,
    DeleteApplication,
    Restart,
    Kill,
    /// The store goes away for a while.
    Away,
}

pub(crate) fn deed(dice: &mut Dice) -> Deed {
    match dice.below(200) {
        0..=119 => Deed::Publish,
        120..=139 => Deed::Resend,
        140..=155 => Deed::Enable(Pending::Send),
        156..=159 => Deed::Enable(Pending::Drop),
        160..=167 => Deed::Change,
        168..=175 => Deed::SwitchOff,
        176..=183 => Deed::Discard,
        184 | 185 => Deed::DeleteEndpoint,
        186 => Deed::DeleteApplication,
        187..=190 => Deed::Restart,
        191..=194 => Deed::Away,
        _ => Deed::Kill,
    }
}

pub(crate) fn application(world: &World, entropy: &Entropy, number: usize) -> Application {
    let environment = plan::name(number % world.plan.contracts.len());
    Application {
        id: entropy.id(&world.clock),
        environment,
        uid: Some(format!("app-{number}")),
        name: "A tenant".to_owned(),
        metadata: Metadata::new(),
        created_at: world.now(),
        updated_at: world.now(),
    }
}

pub(crate) fn endpoint(
    world: &World,
    entropy: &Entropy,
    application: &Application,
    number: usize,
    channels: Option<Vec<String>>,
) -> Endpoint {
    Endpoint {
        id: entropy.id(&world.clock),
        application_id: application.id,
        environment: Arc::clone(&application.environment),
        uid: None,
        name: format!("Hook {number}"),
        description: String::new(),
        url: format!("https://e{number}.example/hook"),
        transport: Default::default(),
        method: Default::default(),
        auth: Default::default(),
        headers: Vec::new(),
        subscription: Default::default(),
        channels,
        throttle_rate: None,
        ordered: false,
        metadata: Metadata::new(),
        state: EndpointState::Enabled,
        secrets: vec![secret(entropy)],
        revision: 1,
        created_at: world.now(),
        updated_at: world.now(),
    }
}

fn secret(entropy: &Entropy) -> SigningSecret {
    let text = format!("whsec_{}", "A".repeat(16) + &hex::encode(entropy.bytes::<8>()));
    SigningSecret { text: SecretText::new(text), expires_at: None }
}

pub(crate) fn channels(dice: &mut Dice) -> Option<Vec<String>> {
    dice.percent(20).then(|| vec![(*dice.pick(&CHANNELS)).to_owned()])
}

/// Somebody at work, with the engine of one life.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) world: Arc<World>,
    pub(crate) engine: Engine,
    pub(crate) store: Arc<SimulatedStore>,
    pub(crate) entropy: Entropy,
}

impl Person {
    /// Publishes event number `number`.
    pub(crate) async fn publish(self, number: usize, application: Application, red: bool) {
        let message = NewMessage {
            environment: Arc::clone(&application.environment),
            application: Reference::new(application.id.to_string()),
            only_application: None,
            id: self.entropy.id(&self.world.clock),
            event_type: "contact.created".to_owned(),
            event_group: None,
            event_id: None,
            payload: format!(r#"{{"email":"sim-{number}"}}"#).into(),
            channels: vec![CHANNELS[usize::from(red)].to_owned()],
            tags: Vec::new(),
            test: false,
            audience: Default::default(),
        };
        let place = self.engine.admit(message.payload.len()).expect("fewer publish than may wait");
        match self.engine.publish(message, place).await {
            Ok(published) => {
                let known = self.world.model().messages.contains_key(&published.message.id);
                self.world.check(match known {
                    true => Ok(()),
                    false => Err("acknowledged what isn't stored".to_owned()),
                });
            }
            Err(error) => {
                self.refused("publish", &error);
                if error.detail.contains("in time") {
                    self.gave_up(format!("sim-{number}"));
                }
            }
        }
    }

    /// The publisher was told that nothing was kept.
    fn gave_up(&self, token: String) {
        let mut model = self.world.model();
        let stored = model.tokens.contains_key(&token);
        model.given_up.insert(token);
        drop(model);
        self.world.check(match stored {
            true => Err("gave up what is stored".to_owned()),
            false => Ok(()),
        });
    }

    pub(crate) async fn resend(
        self,
        application: ApplicationId,
        message: MessageId,
        endpoint: EndpointId,
    ) {
        if let Err(error) = self.engine.resend(application, message, endpoint).await {
            self.refused("resend", &error);
        }
    }

    pub(crate) async fn act(self, deed: Deed, application: ApplicationId, id: EndpointId) {
        let engine = &self.engine;
        let done = match deed {
            Deed::Enable(pending) => {
                engine.enable_endpoint(application, id, pending).await.map(drop)
            }
            Deed::Change => self.change(application, id, |_| {}).await,
            Deed::SwitchOff => self.switch_off(application, id).await,
            Deed::Discard => engine.discard_pending(application, id).await.map(drop),
            Deed::DeleteEndpoint => engine.delete_endpoint(application, id).await,
            Deed::DeleteApplication => engine.delete_application(application).await,
            Deed::Publish | Deed::Resend | Deed::Restart | Deed::Kill | Deed::Away => Ok(()),
        };
        if let Err(error) = done {
            self.refused(&format!("{deed:?}"), &error);
        }
    }

    async fn switch_off(&self, application: ApplicationId, id: EndpointId) -> Result<(), Error> {
        let at = self.world.now();
        let state = EndpointState::Disabled { at, reason: "switched off".to_owned() };
        self.change(application, id, |endpoint| endpoint.state = state).await
    }

    /// Gives an endpoint another secret, and what else is wanted.
    async fn change(
        &self,
        application: ApplicationId,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Result<(), Error> {
        let reference = Reference::new(id.to_string());
        let known = self.store.get_endpoint(application, &reference).await?;
        let mut endpoint = (*known).clone();
        endpoint.updated_at = self.world.now();
        endpoint.secrets = vec![secret(&self.entropy)];
        change(&mut endpoint);
        let change = EndpointChange { endpoint, from_revision: known.revision };
        self.engine.update_endpoint(change, false).await.map(drop)
    }

    /// An error must be one that the person can do something about.
    fn refused(&self, what: &str, error: &Error) {
        self.world.say(|| format!("refused {what}: {error}"));
        let calm = self.world.is_calm() && self.world.untroubled().as_secs() > 10;
        let kept: Kept = match error.code {
            ErrorCode::Conflict | ErrorCode::NotFound => Ok(()),
            ErrorCode::Unavailable if !calm => Ok(()),
            _ => Err(format!("{what}: {error}")),
        };
        self.world.check(kept);
    }
}

/// Who stands still, but may be switched on again.
pub(crate) fn standing_still(world: &World) -> Vec<(ApplicationId, EndpointId)> {
    let model = world.model();
    let still = model
        .hooks
        .iter()
        .filter(|(_, hook)| matches!(hook.standing, Standing::Paused | Standing::Disabled));
    still.map(|(id, hook)| (hook.application, *id)).collect()
}
