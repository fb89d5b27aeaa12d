"""The least number of inputs of ONNX's operators, over all their versions, for checks that load no onnx."""

from __future__ import annotations

# The number -> operators; every operator that is not listed has one input at least. A test compares them with onnx.
LEAST_INPUTS = {
    name: least
    for least, names in {
        0: """
            Constant Optional OptionalHasElement RandomNormal RandomUniform SequenceEmpty
        """,
        2: """
            Add AffineGrid And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike CausalConvWithState
            CenterCropPad Compress Conv ConvInteger ConvTranspose CumProd CumSum DequantizeLinear Div Equal
            Expand Gather GatherElements GatherND Gemm Greater GreaterOrEqual GridSample LayerNormalization Less
            LessOrEqual Loop MatMul MatMulInteger MaxRoiPool MaxUnpool Mod Mul NegativeLogLikelihoodLoss
            NonMaxSuppression Or PRelu Pow QuantizeLinear RMSNormalization ReverseSequence STFT SequenceAt
            SequenceInsert SoftmaxCrossEntropyLoss StringConcat Sub SwiGLU TensorScatter Tile Xor
        """,
        3: """
            Attention Col2Im DeformConv GRU GroupNormalization InstanceNormalization LSTM LinearAttention OneHot
            RNN Range RoiAlign RotaryEmbedding Scatter ScatterElements ScatterND Where
        """,
        5: """
            BatchNormalization MelWeightMatrix
        """,
        8: """
            QLinearConv QLinearMatMul
        """,
    }.items()
    for name in names.split()
}
