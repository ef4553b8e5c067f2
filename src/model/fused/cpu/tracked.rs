//! Fused operations under autodiff, of any checkpointing strategy: what they keep, they keep
//! themselves.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};

use super::{Flex, FlexTensor, FloatTensor, Fused};

type Tracked = FloatTensor<Autodiff<Flex>>;

#[derive(Debug)]
struct Step<F>(F);

impl<F: Fused<N>, const N: usize> Backward<Flex, N> for Step<F> {
    type State = Vec<FlexTensor>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = self.0.backward(ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

pub(super) fn run<F: Fused<N>, const N: usize>(operation: &F, inputs: &[Tracked; N]) -> Tracked {
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let values = inputs.each_ref().map(|input| input.primitive.clone());
    let step = Step(operation.clone()).prepare::<NoCheckpointing>(nodes);
    match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let (output, kept) = operation.forward(values, true);
            step.finish(kept, output)
        }
        OpsKind::UnTracked(step) => step.finish(operation.forward(values, false).0),
    }
}
