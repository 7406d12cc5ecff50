//! The values that replace the result of a function.

use quote::quote;
use syn::{Expr, GenericArgument, PathArguments, ReturnType, Type, parse_quote};

/// Returns values for the return type of a function, from the name of the type alone. Some do not
/// compile.
pub(crate) fn of(output: &ReturnType) -> Vec<Expr> {
    match output {
        ReturnType::Default => vec![parse_quote!(())],
        ReturnType::Type(_, kind) => of_type(kind),
    }
}

fn of_type(kind: &Type) -> Vec<Expr> {
    match kind {
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec![parse_quote!(())],
        Type::Reference(reference) if reference.mutability.is_none() => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => {
                vec![parse_quote!(""), parse_quote!("xyzzy")]
            }
            _ => Vec::new(),
        },
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            let inner = match &last.arguments {
                PathArguments::AngleBracketed(arguments) => {
                    arguments.args.iter().find_map(|argument| match argument {
                        GenericArgument::Type(kind) => Some(kind),
                        _ => None,
                    })
                }
                _ => None,
            };
            match &*last.ident.to_string() {
                "bool" => vec![parse_quote!(true), parse_quote!(false)],
                "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
                    vec![parse_quote!(0), parse_quote!(1)]
                }
                "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
                    vec![parse_quote!(0), parse_quote!(-1)]
                }
                "String" => vec![parse_quote!("xyzzy".to_owned())],
                "Option" => vec![parse_quote!(None)],
                "Result" => inner
                    .map(of_type)
                    .unwrap_or_default()
                    .iter()
                    .map(|value| parse_quote!(Ok(#value)))
                    .collect(),
                "Ordering" => vec![parse_quote!(::core::cmp::Ordering::Equal)],
                "Self" => Vec::new(),
                _ => {
                    let value = quote!(::core::default::Default::default());
                    vec![parse_quote!(#value)]
                }
            }
        }
        _ => Vec::new(),
    }
}
