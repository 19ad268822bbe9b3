//! Every page, wide and narrow, light and dark: axe-core finds nothing, nothing is cut off, and
//! a picture is taken.
//!
//! With `HOOKWRIGHT_SCREENSHOTS=docs` the wide light pictures also become the documentation's.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::at_klink;
use crate::browser::{Browser, HEIGHT_MAX, browse};
use crate::company::Company;
use crate::scenes::{SCENES, Who, become_viewer, built, pictures, show};

/// Widths in CSS pixels, of a laptop and of a phone, with the heights of their windows.
const WIDE: (u32, u32) = (1280, 860);
const NARROW: (u32, u32) = (390, 844);

const SCHEMES: [&str; 2] = ["light", "dark"];

/// The height of a picture in the documentation, in CSS pixels.
const DOCUMENTED_HEIGHT_MAX: u64 = 1_100;

/// Looks at everything, with the rules for good practice and with all impacts.
const AXE: &str = "const done = arguments[0];
    axe.run(document, { resultTypes: ['violations'] }).then(
      (found) => done(found.passes.length < 10 ? ['axe looked at nothing'] : found.violations.map((one) => `${one.id} (${one.impact}): ${one.help}\\n` +
        one.nodes.map((node) => `    ${node.html}\\n    ${node.failureSummary}`).join('\\n'))),
      (error) => done([`${error}`]),
    );";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_at_every_width_and_in_both_schemes() {
    let axe = axe();
    let company = Company::after_a_day().await;
    tokio::join!(look(&company, &axe, WIDE), look(&company, &axe, NARROW));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found() {
    let (axe, server) = (axe(), at_klink().await);
    browse(&server, async |person| {
        person.open("/dashboard/sign-in").await;
        let harm = "document.documentElement.removeAttribute('lang');
            document.querySelector('label').remove();
            document.querySelector('button').style.color = '#4444cc';
            document.querySelector('h1').style.width = '3000px';";
        person.run(harm, json!([])).await;
        person.run(&axe, json!([])).await;
        let found = findings(person).await.join("\n");
        for rule in ["html-has-lang", "label", "color-contrast"] {
            assert!(found.contains(&format!("{rule} (")), "no {rule} in {found}");
        }
        assert!(cut_off(person).await.is_some());
    })
    .await;
}

/// What axe-core finds wrong with the page as it is shown now.
async fn findings(person: &Browser) -> Vec<String> {
    serde_json::from_value(person.run_async(AXE, json!([])).await).unwrap()
}

/// The source of axe-core.
fn axe() -> String {
    let path = built().join("axe-core/axe.min.js");
    std::fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("there is no {}; run scripts/install-axe", path.display()))
}

async fn look(company: &Company, axe: &str, (width, height): (u32, u32)) {
    browse(&company.server, async |person| {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        person.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        person.expect_status(404);
        let (mut problems, mut viewer) = (Vec::new(), Who::Stranger);
        for scene in SCENES {
            let (name, who, ..) = scene;
            if *who != viewer {
                become_viewer(person, company, *who).await;
                viewer = *who;
            }
            show(person, company, scene).await;
            person.run(axe, json!([])).await;
            for scheme in SCHEMES {
                let picture = format!("{name}-{width}-{scheme}");
                prefer(person, scheme).await;
                let found = findings(person).await;
                problems.extend(found.iter().map(|problem| format!("{picture}: {problem}")));
                if let Some(cut_off) = cut_off(person).await {
                    problems.push(format!("{picture} scrolls sideways: {cut_off}"));
                }
                keep(person, &picture).await;
            }
        }
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    })
    .await;
}

async fn prefer(person: &Browser, scheme: &str) {
    let features = json!([
        { "name": "prefers-color-scheme", "value": scheme },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ]);
    person.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

/// What stands out to the right of the window.
async fn cut_off(person: &Browser) -> Option<String> {
    let script = "const root = document.documentElement;
        if (root.scrollWidth <= innerWidth) return null;
        const out = [...document.querySelectorAll('body *')]
          .filter((one) => one.getBoundingClientRect().right > innerWidth);
        return `${root.scrollWidth} of ${innerWidth}: ${out.at(-1)?.outerHTML.slice(0, 200)}`;";
    match person.run(script, json!([])).await {
        Value::String(what) => Some(what),
        _ => None,
    }
}

async fn keep(person: &Browser, name: &str) {
    let file = pictures().join(format!("{name}.png"));
    std::fs::write(file, person.picture(HEIGHT_MAX).await).unwrap();
    let for_the_docs = std::env::var("HOOKWRIGHT_SCREENSHOTS").is_ok_and(|value| value == "docs");
    if let (true, Some(page)) = (for_the_docs, name.strip_suffix("-1280-light")) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = person.picture(DOCUMENTED_HEIGHT_MAX).await;
        std::fs::write(folder.join(format!("{page}.png")), picture).unwrap();
    }
}
