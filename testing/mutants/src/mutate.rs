//! The changes that mutants make to the source.

use std::collections::BTreeSet;

use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprIf, File, ImplItemFn, ItemConst, ItemFn, ItemMod,
    ItemStatic, Pat, ReturnType, Signature, Stmt, TraitItemFn, Type, UnOp, parse_quote,
};

use crate::values;

pub(crate) struct Mutant {
    pub(crate) number: u32,
    pub(crate) line: usize,
    pub(crate) what: String,
}

pub(crate) struct Mutate<'a> {
    pub(crate) next: u32,
    left_out: &'a BTreeSet<u32>,
    pub(crate) made: Vec<Mutant>,
    function: String,
}

impl<'a> Mutate<'a> {
    pub(crate) fn new(next: u32, left_out: &'a BTreeSet<u32>) -> Self {
        Self { next, left_out, made: Vec::new(), function: String::new() }
    }

    pub(crate) fn file(&mut self, file: &mut File) {
        self.visit_file_mut(file);
    }

    /// Numbers a mutant, and returns the expression that is true if it is chosen.
    fn mutant(&mut self, line: usize, what: &str) -> Option<Expr> {
        let number = self.next;
        self.next += 1;
        if self.left_out.contains(&number) {
            return None;
        }
        let what = format!("{what} in {}", self.function).replace(['\n', '\t'], " ");
        self.made.push(Mutant { number, line, what });
        Some(parse_quote!(crate::mutant::on(#number)))
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &mut Block) {
        if signature.constness.is_some() || is_test(attributes) {
            return;
        }
        let outer = std::mem::replace(&mut self.function, signature.ident.to_string());
        visit_mut::visit_block_mut(self, block);
        // `Debug` and `Display` of an error are texts.
        if !block.stmts.is_empty() && self.function != "fmt" {
            self.values(&signature.output, block);
        }
        self.function = outer;
    }

    fn values(&mut self, output: &ReturnType, block: &mut Block) {
        let line = block.span().start().line;
        for value in values::of(output) {
            let what = format!("returns {}", value.to_token_stream());
            if let Some(on) = self.mutant(line, &what) {
                block.stmts.insert(0, parse_quote!(if #on { return #value; }));
            }
        }
    }

    fn condition(&mut self, condition: &mut Expr) {
        if matches!(condition, Expr::Binary(_) | Expr::Unary(_) | Expr::Let(_))
            || has_let(condition)
        {
            return;
        }
        if let Some(on) = self.mutant(condition.span().start().line, "negates the condition") {
            *condition = parse_quote!((#condition) != #on);
        }
    }

    fn binary(&mut self, expression: &mut Expr) {
        let Expr::Binary(binary) = &*expression else { return };
        let line = binary.op.span().start().line;
        let (left, operator, right) = (&binary.left, binary.op, &binary.right);
        if has_let(left) || has_let(right) {
            return;
        }
        let what = operator.to_token_stream().to_string();
        let new: Option<Expr> = match operator {
            BinOp::And(_) => self
                .mutant(line, "&& becomes ||")
                .map(|on| parse_quote!((if (#left) == #on { #on } else { #right }))),
            BinOp::Or(_) => self
                .mutant(line, "|| becomes &&")
                .map(|on| parse_quote!((if (#left) != #on { !#on } else { #right }))),
            BinOp::Eq(_) | BinOp::Ne(_) => self
                .mutant(line, &format!("{what} is negated"))
                .map(|on| parse_quote!(((#left #operator #right) != #on))),
            BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => {
                self.comparison(line, &what, binary)
            }
            BinOp::Add(_) | BinOp::Sub(_) => {
                let other: BinOp = if what == "+" { parse_quote!(-) } else { parse_quote!(+) };
                self.mutant(line, &format!("{what} becomes the other"))
                    .map(|on| parse_quote!((if #on { #left #other #right } else { #left #operator #right })))
            }
            _ => None,
        };
        if let Some(new) = new {
            *expression = new;
        }
    }

    /// Moves the bound by one, and negates the comparison.
    fn comparison(&mut self, line: usize, what: &str, binary: &syn::ExprBinary) -> Option<Expr> {
        let (left, operator, right) = (&binary.left, binary.op, &binary.right);
        let bound: BinOp = match operator {
            BinOp::Lt(_) => parse_quote!(<=),
            BinOp::Le(_) => parse_quote!(<),
            BinOp::Gt(_) => parse_quote!(>=),
            _ => parse_quote!(>),
        };
        let moved = self.mutant(line, &format!("{what} has another bound"));
        let negated = self.mutant(line, &format!("{what} is negated"));
        let compared: Expr = match moved {
            Some(on) => {
                parse_quote!((if #on { #left #bound #right } else { #left #operator #right }))
            }
            None => parse_quote!((#left #operator #right)),
        };
        Some(match negated {
            Some(on) => parse_quote!((#compared != #on)),
            None => compared,
        })
    }

    /// Makes the closure of a filter true.
    fn predicate(&mut self, expression: &mut Expr) {
        let Expr::MethodCall(call) = expression else { return };
        let name = call.method.to_string();
        let is_known =
            ["filter", "is_some_and", "is_none_or", "any", "all", "find", "position", "retain"];
        if !is_known.contains(&&*name) || call.args.len() != 1 {
            return;
        }
        let Some(Expr::Closure(closure)) = call.args.first_mut() else { return };
        let line = closure.span().start().line;
        for value in [true, false] {
            let Some(on) = self.mutant(line, &format!("the closure of {name} is {value}")) else {
                continue;
            };
            let body = &closure.body;
            closure.body = parse_quote!((if #on { #value } else { #body }));
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.to_token_stream().to_string().contains("test"))
}

/// Returns whether an expression is part of a chain with `let`, which is no value.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl VisitMut for Mutate<'_> {
    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if !is_test(&module.attrs) {
            visit_mut::visit_item_mod_mut(self, module);
        }
    }

    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        self.function(&function.attrs, &function.sig, &mut function.block);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        self.function(&function.attrs, &function.sig, &mut function.block);
    }

    fn visit_trait_item_fn_mut(&mut self, function: &mut TraitItemFn) {
        if let Some(block) = &mut function.default {
            self.function(&function.attrs, &function.sig, block);
        }
    }

    // Constants are computed by the compiler, which cannot ask for the mutant.
    fn visit_item_const_mut(&mut self, _: &mut ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut ItemStatic) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_trait_item_const_mut(&mut self, _: &mut syn::TraitItemConst) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_expr_repeat_mut(&mut self, _: &mut syn::ExprRepeat) {}
    fn visit_expr_const_mut(&mut self, _: &mut syn::ExprConst) {}
    fn visit_variant_mut(&mut self, _: &mut syn::Variant) {}

    fn visit_block_mut(&mut self, block: &mut Block) {
        visit_mut::visit_block_mut(self, block);
        for statement in &mut block.stmts {
            let Stmt::Expr(expression, Some(_)) = statement else { continue };
            let is_step = match expression {
                Expr::Call(_)
                | Expr::MethodCall(_)
                | Expr::Try(_)
                | Expr::Assign(_)
                | Expr::Await(_) => true,
                Expr::Binary(binary) => {
                    matches!(binary.op, BinOp::AddAssign(_) | BinOp::SubAssign(_))
                }
                _ => false,
            };
            if !is_step {
                continue;
            }
            let mut what = expression.to_token_stream().to_string();
            what.truncate(what.char_indices().nth(60).map_or(what.len(), |(at, _)| at));
            let line = expression.span().start().line;
            if let Some(on) = self.mutant(line, &format!("leaves out `{what}`")) {
                *statement = parse_quote!(if !#on { #expression; });
            }
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        visit_mut::visit_arm_mut(self, arm);
        if let Some((_, guard)) = &mut arm.guard {
            self.condition(guard);
        }
    }

    fn visit_expr_if_mut(&mut self, expression: &mut ExprIf) {
        let is_plain = !matches!(&*expression.cond, Expr::Binary(_) | Expr::Unary(_));
        visit_mut::visit_expr_if_mut(self, expression);
        if is_plain {
            self.condition(&mut expression.cond);
        }
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        visit_mut::visit_expr_mut(self, expression);
        self.predicate(expression);
        if let Expr::Unary(unary) = &*expression
            && matches!(unary.op, UnOp::Not(_))
        {
            let operand = &unary.expr;
            if let Some(on) = self.mutant(unary.span().start().line, "! is left out") {
                *expression = parse_quote!((!#operand != #on));
            }
        }
        self.binary(expression);
    }
}
