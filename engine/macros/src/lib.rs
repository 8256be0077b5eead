//! `#[compiled_here]` for blocks of async methods.
//!
//! The compiler makes the code of an async function where the function is awaited: every use case of the engine, with all of its SQL,
//! would be in the program twice, for the console and for the REST API, and be compiled twice. A boxed future is made, and its code with
//! it, where the method is. It costs one allocation, beside a transaction.
#![warn(missing_docs)]

use proc_macro::TokenStream;
use quote::quote;
use syn::visit_mut::{VisitMut, visit_type_reference_mut};
use syn::{FnArg, ImplItem, ImplItemFn, ItemImpl, Lifetime, ReturnType, TypeReference, Visibility, parse_macro_input, parse_quote};

/// Lets the public async methods of an `impl` block return boxed futures, which are called as before. Methods with type parameters
/// are left alone: their code can only be made where they are used.
#[proc_macro_attribute]
pub fn compiled_here(_: TokenStream, block: TokenStream) -> TokenStream {
    let mut block = parse_macro_input!(block as ItemImpl);
    for item in &mut block.items {
        if let ImplItem::Fn(method) = item
            && method.sig.asyncness.is_some()
            && matches!(method.vis, Visibility::Public(_))
            && method.sig.generics.params.is_empty()
        {
            box_future(method);
        }
    }
    quote!(#block).into()
}

fn box_future(method: &mut ImplItemFn) {
    let output = match &method.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => output.as_ref().clone(),
    };
    let mut one_life = OneLife { found: false };
    for argument in &mut method.sig.inputs {
        match argument {
            FnArg::Receiver(receiver) => {
                if let Some((_, lifetime)) = &mut receiver.reference {
                    *lifetime = Some(life());
                    one_life.found = true;
                    receiver.ty = if receiver.mutability.is_some() { parse_quote!(&'life mut Self) } else { parse_quote!(&'life Self) };
                }
            }
            FnArg::Typed(argument) => one_life.visit_type_mut(&mut argument.ty),
        }
    }
    let body = &method.block;
    let lives = if one_life.found {
        method.sig.generics = parse_quote!(<'life>);
        life()
    } else {
        parse_quote!('static)
    };
    let body = quote!({ ::std::boxed::Box::pin(async move #body) });
    method.sig.asyncness = None;
    method.sig.output = parse_quote!(-> ::futures_util::future::BoxFuture<#lives, #output>);
    method.block = parse_quote!(#body);
}

fn life() -> Lifetime {
    parse_quote!('life)
}

/// Gives every borrowed argument the one lifetime of the future.
struct OneLife {
    found: bool,
}

impl VisitMut for OneLife {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident == "_") {
            reference.lifetime = Some(life());
        }
        self.found = true;
        visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = life();
            self.found = true;
        }
    }
}
