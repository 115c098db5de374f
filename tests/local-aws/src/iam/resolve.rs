//! Roles out of the template: where their policies stand, and the intrinsic functions in them.

use serde_json::Value;

use super::role::{Role, RoleError};
use crate::template::Template;

/// Where the template is deployed.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Region.
    pub region: &'a str,
    /// Twelve digits.
    pub account_id: &'a str,
    /// Name of the template's table.
    pub table_name: &'a str,
}

impl Place<'_> {
    /// The role of the function with this logical identifier: its own `Policies`, and those of the
    /// role that `Role` names.
    ///
    /// # Errors
    ///
    /// [`RoleError`]: a part of it is not understood.
    pub fn role(&self, template: &Template, function: &str, id: &str) -> Result<Role, RoleError> {
        let wrong = |place: &str, problem: String| RoleError {
            function: function.to_owned(),
            place: place.to_owned(),
            problem,
        };
        let properties = |id: &str| {
            let resource = template.resource(id);
            resource.map(|resource| &resource["Properties"])
        };
        let own = properties(id).ok_or_else(|| wrong(id, "missing".to_owned()))?;
        let mut policies: Vec<Value> = super::role::list(&own["Policies"])
            .into_iter()
            .cloned()
            .collect();
        if let Some(reference) = own.get("Role") {
            let named = reference["Fn::GetAtt"][0]
                .as_str()
                .and_then(properties)
                .ok_or_else(|| wrong("Role", format!("{reference} is no role of the template")))?;
            for policy in super::role::list(&named["Policies"]) {
                policies.push(policy["PolicyDocument"].clone());
            }
            for managed in super::role::list(&named["ManagedPolicyArns"]) {
                policies.push(Value::String(match managed.as_str() {
                    Some(arn) => arn.to_owned(),
                    None => managed.to_string(),
                }));
            }
        }
        let role = own["Role"]["Fn::GetAtt"][0].as_str();
        for (_, apart) in template.resources_of("AWS::IAM::RolePolicy") {
            let of_it = apart["Properties"]["RoleName"]["Ref"].as_str() == role;
            let stands = match apart["Condition"].as_str() {
                Some(name) => self
                    .holds(template, name)
                    .map_err(|problem| wrong(name, problem))?,
                None => true,
            };
            if role.is_some() && of_it && stands {
                policies.push(apart["Properties"]["PolicyDocument"].clone());
            }
        }
        let resolve = |value: &Value| self.text(template, value);
        Role::read(function, &policies, &resolve)
    }

    /// Whether a condition of the template holds.
    fn holds(&self, template: &Template, name: &str) -> Result<bool, String> {
        let condition = template
            .condition(name)
            .ok_or_else(|| format!("{name} is no condition"))?;
        self.truth(template, condition)
    }

    fn truth(&self, template: &Template, value: &Value) -> Result<bool, String> {
        if let Some([inner]) = value["Fn::Not"].as_array().map(Vec::as_slice) {
            return Ok(!self.truth(template, inner)?);
        }
        match value["Fn::Equals"].as_array().map(Vec::as_slice) {
            Some([one, other]) => Ok(self.text(template, one)? == self.text(template, other)?),
            _ => Err(format!("{value} is not understood")),
        }
    }

    /// Text, or an intrinsic function that comes down to text.
    fn text(&self, template: &Template, value: &Value) -> Result<String, String> {
        if let Some(text) = value.as_str() {
            return Ok(text.to_owned());
        }
        if let Some(truth) = value.as_bool() {
            return Ok(truth.to_string());
        }
        if let Some(name) = value["Ref"].as_str() {
            return self.reference(template, name);
        }
        if let Some(parts) = value["Fn::GetAtt"].as_array() {
            return match parts.iter().map(Value::as_str).collect::<Vec<_>>()[..] {
                [Some(id), Some("Arn")] => self.arn(template, id),
                _ => Err(format!("{value} is not understood")),
            };
        }
        if let Some(parts) = value["Fn::Split"].as_array() {
            // What is split again where a list may stand: `super::role`.
            return match parts.as_slice() {
                [comma, text] if comma == "," => self.text(template, text),
                _ => Err(format!("{value} is not understood")),
            };
        }
        match &value["Fn::Sub"] {
            Value::String(text) => self.substitute(template, text),
            _ => Err(format!("{value} is not understood")),
        }
    }

    /// `Fn::Sub` with `${NAME}` and `${NAME.Arn}`.
    fn substitute(&self, template: &Template, text: &str) -> Result<String, String> {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part
                .split_once('}')
                .ok_or_else(|| format!("{text:?} has an open ${{"))?;
            whole += &match name.strip_suffix(".Arn") {
                Some(id) => self.arn(template, id)?,
                None => self.reference(template, name)?,
            };
            whole += rest;
        }
        Ok(whole)
    }

    fn reference(&self, template: &Template, name: &str) -> Result<String, String> {
        let pseudo = match name {
            "AWS::Partition" => "aws",
            "AWS::Region" => self.region,
            "AWS::AccountId" => self.account_id,
            "AWS::StackName" => "holdfast",
            "AWS::URLSuffix" => "amazonaws.com",
            _ => {
                if let Some(value) = template.parameter(name) {
                    let text = value.as_str().map(str::to_owned);
                    return Ok(text.unwrap_or_else(|| value.to_string()));
                }
                return match kind(template, name)? {
                    "AWS::DynamoDB::Table" => Ok(self.table_name.to_owned()),
                    // The other kinds' physical names are CloudFormation's to choose.
                    _ => Ok(name.to_owned()),
                };
            }
        };
        Ok(pseudo.to_owned())
    }

    fn arn(&self, template: &Template, id: &str) -> Result<String, String> {
        let of = |service: &str, name: &str| {
            let Self {
                region, account_id, ..
            } = self;
            format!("arn:aws:{service}:{region}:{account_id}:{name}")
        };
        Ok(match kind(template, id)? {
            "AWS::DynamoDB::Table" => of("dynamodb", &format!("table/{}", self.table_name)),
            "AWS::SQS::Queue" => of("sqs", id),
            "AWS::SNS::Topic" => of("sns", id),
            "AWS::Logs::LogGroup" => of("logs", &format!("log-group:{id}:*")),
            "AWS::Serverless::Function" => of("lambda", &format!("function:{id}")),
            other => return Err(format!("the ARN of {id}, {other}, is not known")),
        })
    }
}

fn kind<'a>(template: &'a Template, id: &str) -> Result<&'a str, String> {
    let resource = template.resource(id);
    resource
        .and_then(|resource| resource["Type"].as_str())
        .ok_or_else(|| format!("{id} is neither parameter nor resource"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::Demand;

    const PLACE: Place<'_> = Place {
        region: "r",
        account_id: "1",
        table_name: "holdfast",
    };

    #[test]
    fn intrinsic_functions_come_down_to_the_arns_of_the_place() {
        let template = Template::parse(
            r#"
Resources:
  Table: { Type: "AWS::DynamoDB::Table", Properties: {} }
  F:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - Statement:
            - Effect: Allow
              Action: [dynamodb:GetItem]
              Resource: [{ "Fn::GetAtt": [Table, Arn] }, { "Fn::Sub": "${Table.Arn}/index/*" }]
            - Effect: Allow
              Action: ec2:CreateSnapshot
              Resource: { "Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:volume/*" }
"#,
        )
        .unwrap();
        let role = PLACE.role(&template, "f", "F").unwrap();
        assert_eq!(
            role.statements[0].resources,
            [
                "arn:aws:dynamodb:r:1:table/holdfast",
                "arn:aws:dynamodb:r:1:table/holdfast/index/*"
            ]
        );
        let own = Demand::new("ec2:CreateSnapshot", "arn:aws:ec2:r:1:volume/vol-1");
        assert!(role.allows(&own));
        let other = Demand::new("ec2:CreateSnapshot", "arn:aws:ec2:r:2:volume/vol-1");
        assert!(!role.allows(&other));
    }

    #[test]
    fn a_role_of_its_own_is_read_with_its_managed_policies() {
        let template = Template::parse(
            r#"
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: { Role: { "Fn::GetAtt": [FRole, Arn] } }
  FRole:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [arn:aws:iam::aws:policy/Some]
      Policies:
        - PolicyName: p
          PolicyDocument:
            Statement: { Effect: Allow, Action: "ec2:DescribeVolumes", Resource: "*" }
"#,
        )
        .unwrap();
        let role = PLACE.role(&template, "f", "F").unwrap();
        assert!(role.allows(&Demand::new("ec2:DescribeVolumes", "*")));
        assert_eq!(role.managed, ["arn:aws:iam::aws:policy/Some"]);
    }

    #[test]
    fn a_resource_that_is_not_there_is_named() {
        let template = Template::parse(
            r#"
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - Statement:
            - { Effect: Allow, Action: "dynamodb:Query", Resource: { "Fn::GetAtt": [Gone, Arn] } }
"#,
        )
        .unwrap();
        let error = PLACE.role(&template, "f", "F").unwrap_err().to_string();
        assert!(error.contains("Gone"), "{error}");
    }
}
