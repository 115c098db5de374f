//! What the calls of DynamoDB demand.

use std::collections::BTreeSet;

use serde_json::Value;

use super::demand::Demand;

/// The demands of a request: `target` is its header `x-amz-target`, such as
/// `DynamoDB_20120810.PutItem`.
///
/// There is no permission for a transaction: it needs those of what it does (DynamoDB Developer
/// Guide, "Using IAM with DynamoDB transactions"). A request that cannot be read demands nothing;
/// DynamoDB refuses it.
#[must_use]
pub fn demands(target: &str, body: &[u8], region: &str, account_id: &str) -> Vec<Demand> {
    let Some((_, operation)) = target.split_once('.') else {
        return Vec::new();
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut needed: BTreeSet<(String, String)> = BTreeSet::new();
    let mut need = |action: &str, table: &Value| {
        let table = table.as_str().unwrap_or("*");
        // A request may name its table by ARN too.
        let table = table.rsplit('/').next().unwrap_or(table);
        needed.insert((format!("dynamodb:{action}"), table.to_owned()));
    };
    match operation {
        "TransactWriteItems" | "TransactGetItems" => {
            for item in body["TransactItems"].as_array().into_iter().flatten() {
                for (what, one) in item.as_object().into_iter().flatten() {
                    let action = match what.as_str() {
                        "Put" => "PutItem",
                        "Update" => "UpdateItem",
                        "Delete" => "DeleteItem",
                        "Get" => "GetItem",
                        "ConditionCheck" => "ConditionCheckItem",
                        other => other,
                    };
                    need(action, &one["TableName"]);
                }
            }
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            for (table, _) in tables {
                need(operation, &Value::from(table.as_str()));
            }
        }
        other => need(other, &body["TableName"]),
    }
    needed
        .into_iter()
        .map(|(action, table)| {
            let arn = format!("arn:aws:dynamodb:{region}:{account_id}:table/{table}");
            Demand::new(action, arn)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(operation: &str, body: &Value) -> Vec<String> {
        let target = format!("DynamoDB_20120810.{operation}");
        let body = body.to_string();
        let demands = demands(&target, body.as_bytes(), "r", "1");
        let show = |d: Demand| format!("{} {}", d.action, d.resource.unwrap_or_default());
        demands.into_iter().map(show).collect()
    }

    #[test]
    fn a_call_demands_its_own_action_on_its_table() {
        assert_eq!(
            shown("Query", &json!({"TableName": "holdfast"})),
            ["dynamodb:Query arn:aws:dynamodb:r:1:table/holdfast"]
        );
        let items = json!({"RequestItems": {"holdfast": {"Keys": []}}});
        assert_eq!(
            shown("BatchGetItem", &items),
            ["dynamodb:BatchGetItem arn:aws:dynamodb:r:1:table/holdfast"]
        );
    }

    #[test]
    fn a_transaction_demands_what_it_does() {
        let one = json!({"TableName": "t"});
        let body = json!({"TransactItems": [
            {"Put": one}, {"Put": one}, {"Delete": one}, {"ConditionCheck": one},
        ]});
        assert_eq!(
            shown("TransactWriteItems", &body),
            [
                "dynamodb:ConditionCheckItem arn:aws:dynamodb:r:1:table/t",
                "dynamodb:DeleteItem arn:aws:dynamodb:r:1:table/t",
                "dynamodb:PutItem arn:aws:dynamodb:r:1:table/t",
            ]
        );
    }
}
