//! The page docs/deploy.md.

const DEPLOY: &str = include_str!("../../../../docs/deploy.md");

/// Returns the blocks of a section of docs/deploy.md that are in this language.
pub fn blocks(section: &str, language: &str) -> Vec<String> {
    let start = format!("\n## {section}\n");
    let text = DEPLOY.split_once(start.as_str()).unwrap().1;
    let text = text.split("\n## ").next().unwrap();
    let fence = format!("\n```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1);
    blocks.map(|rest| format!("{}\n", rest.split("\n```").next().unwrap())).collect()
}
