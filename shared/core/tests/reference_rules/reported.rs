//! What EC2 reports of single artifacts: image references and shares.

use holdfast_core::dependency::{References, shared};
use holdfast_core::id::ImageId;
use holdfast_core::inventory::{ImageReference, InstanceState, ReferenceType, Share};
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::{Reason, ReasonCode};

use crate::stage::{OWNER, Stage, group, instance, told, version};

const INSTANCE: &str = "arn:aws:ec2:eu-central-1:111122223333:instance/i-1";
const TEMPLATE: &str = "arn:aws:ec2:eu-central-1:111122223333:launch-template/lt-1";
const PARAMETER: &str = "arn:aws:ssm:eu-central-1:111122223333:parameter/golden/linux";
const RECIPE: &str = "arn:aws:imagebuilder:eu-central-1:111122223333:image-recipe/base/1.0.0";

fn referring(stage: &Stage, kind: &str, arn: &str) -> Vec<Reason> {
    let image = ImageId::new("ami-1");
    let of = |image: &str| ImageReference {
        image: ImageId::new(image),
        kind: ReferenceType::parse(kind),
        arn: arn.to_owned(),
    };
    let reported = [of("ami-1"), of("ami-other")];
    References::new(&stage.inventory).referring(&reported, &image, &stage.words())
}

fn broken() -> CallError {
    CallError {
        operation: "Describe",
        resource: "*".into(),
        code: None,
        class: ErrorClass::Throttled,
        message: "page 2".into(),
    }
}

#[test]
fn each_kind_of_reference_has_its_code_and_its_path() {
    let stage = Stage::new();
    for (kind, arn, code, end) in [
        ("ec2:Instance", INSTANCE, ReasonCode::UsedByInstance, "i-1"),
        (
            "ec2:LaunchTemplate",
            TEMPLATE,
            ReasonCode::UsedByLaunchTemplate,
            "lt-1",
        ),
        (
            "ssm:Parameter",
            PARAMETER,
            ReasonCode::UsedByParameter,
            PARAMETER,
        ),
        (
            "imagebuilder:ImageRecipe",
            RECIPE,
            ReasonCode::UsedByImageRecipe,
            RECIPE,
        ),
        (
            "imagebuilder:ContainerRecipe",
            RECIPE,
            ReasonCode::UsedByImageRecipe,
            RECIPE,
        ),
        (
            "new:Thing",
            "arn:aws:new:::x",
            ReasonCode::EvidenceIncomplete,
            "arn:aws:new:::x",
        ),
        (
            "ec2:Instance",
            "no arn",
            ReasonCode::UsedByInstance,
            "no arn",
        ),
    ] {
        let reasons = referring(&stage, kind, arn);
        assert_eq!(told(&reasons), [(code, format!("ami-1 > {end}"))], "{kind}");
    }
    let unknown = referring(&stage, "new:Thing", "arn:aws:new:::x");
    assert!(
        unknown[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("arn:aws:new:::x")
    );
}

#[test]
fn an_instance_that_the_words_let_go_is_no_reason_where_the_whole_list_shows_it() {
    let mut stage = Stage::with_words("stopped_instances_hold: false");
    let of = |stage: &Stage| referring(stage, "ec2:Instance", INSTANCE).len();
    assert_eq!(of(&stage), 1, "no list shows it");
    for (state, holds) in [
        ("stopped", 0),
        ("terminated", 0),
        ("running", 1),
        ("new", 1),
    ] {
        let launched = instance("i-1", InstanceState::parse(state), "ami-1");
        stage.inventory.instances.items = vec![launched];
        assert_eq!(of(&stage), holds, "{state}");
    }
    let launched = instance("i-1", InstanceState::Stopped, "ami-1");
    stage.inventory.instances.items = vec![launched];
    stage.inventory.instances.error = Some(broken());
    assert_eq!(of(&stage), 1, "the list ends early");
    stage.inventory.instances.error = None;
    stage.inventory.instances.items[0].image = Some(ImageId::new("ami-other"));
    assert_eq!(of(&stage), 1, "the list shows it of another AMI");
}

#[test]
fn a_template_whose_naming_versions_the_words_let_go_is_no_reason() {
    let of = |stage: &Stage| referring(stage, "ec2:LaunchTemplate", TEMPLATE).len();
    let staged = || {
        let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
        stage.versions([
            version(1, "ami-x"),
            version(2, "ami-1"),
            version(3, "ami-x"),
        ]);
        stage
    };
    assert_eq!(of(&staged()), 0);
    let mut launched = staged();
    launched.groups(group("asg-1", Some("2")));
    assert_eq!(of(&launched), 1, "a group launches that version");
    let mut default = staged();
    default.versions([version(4, "ami-1")]);
    assert_eq!(of(&default), 1, "the latest names it, too");
    let mut unseen = Stage::with_words("launch_template_versions: default-and-latest");
    unseen.versions([version(1, "ami-x")]);
    assert_eq!(of(&unseen), 1, "no version that was listed names it");
    let mut cut = staged();
    cut.inventory.templates.as_mut().unwrap().error = Some(broken());
    assert_eq!(of(&cut), 1, "the list ends early");
    let mut unread = staged();
    unread.inventory.templates = None;
    assert_eq!(of(&unread), 1, "no list was read");
}

#[test]
fn everybody_but_ones_own_account_is_told_of_a_share() {
    let shares = [
        Share::Account(OWNER.into()),
        Share::Account("999999999999".into()),
        Share::Everybody,
        Share::Organization("arn:aws:organizations::1:organization/o-1".into()),
        Share::Unknown,
    ];
    let code = ReasonCode::SharedWithAccount;
    let mut expected = vec![
        (code, "snap-9 > 999999999999".to_owned()),
        (code, "snap-9".to_owned()),
        (
            code,
            "snap-9 > arn:aws:organizations::1:organization/o-1".to_owned(),
        ),
        (code, "snap-9".to_owned()),
    ];
    expected.sort();
    let mut found = told(&shared("snap-9", &shares, Some(OWNER)));
    found.sort();
    assert_eq!(found, expected);
    let own = [Share::Account(OWNER.into())];
    assert!(shared("snap-9", &own, Some(OWNER)).is_empty());
    assert_eq!(
        shared("snap-9", &own, None).len(),
        1,
        "whose account it is is not known"
    );
}
