//! What other services hold, the functions know through EC2 alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::{World, function_names};
use holdfast_local_aws::iam::Demand;

#[tokio::test]
async fn no_role_reads_a_parameter_or_a_recipe_but_through_ec2() {
    let world = World::new("", "plan", |_| {}).await;
    for name in function_names() {
        let role = world.local.role(&name).unwrap();
        let finds = ["sweep-retention", "check-dependencies"].contains(&role.function.as_str());
        for action in [
            "ssm:DescribeParameters",
            "ssm:GetParameters",
            "imagebuilder:ListImageRecipes",
            "imagebuilder:ListContainerRecipes",
            "imagebuilder:GetContainerRecipe",
        ] {
            let demand = Demand::new(action, "*");
            assert!(!role.allows(&demand), "{}: {action}", role.function);
            let other = demand.clone().with("aws:CalledVia", "athena.amazonaws.com");
            assert!(!role.allows(&other), "{}: {action}", role.function);
            let through = demand.with("aws:CalledVia", "ec2-images.amazonaws.com");
            assert_eq!(role.allows(&through), finds, "{}: {action}", role.function);
        }
        for action in [
            "ssm:GetParameter",
            "ssm:GetParametersByPath",
            "imagebuilder:GetImageRecipe",
        ] {
            let through =
                Demand::new(action, "*").with("aws:CalledVia", "ec2-images.amazonaws.com");
            assert!(!role.allows(&through), "{}: {action}", role.function);
        }
    }
}
