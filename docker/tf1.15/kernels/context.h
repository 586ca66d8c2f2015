// One run of an operation: its inputs, its outputs and the first thing that is wrong with it.
#pragma once
#include "memory.h"
#include "tensorflow_c.h"

namespace tinsmith {

constexpr int kMostTensors = 12;

class Context {
 public:
  explicit Context(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}

  // Outputs count only if nothing was refused.
  ~Context() {
    for (int at = 0; at < kMostTensors; ++at) {
      if (outputs_[at] != nullptr && ok()) TF_SetOutput(context_, at, outputs_[at], status_);
    }
    if (!ok()) TF_OpKernelContext_Failure(context_, status_);
    for (int at = 0; at < kMostTensors; ++at) {
      if (outputs_[at] != nullptr) TF_DeleteTensor(outputs_[at]);
      if (inputs_[at] != nullptr) TF_DeleteTensor(inputs_[at]);
    }
    TF_DeleteStatus(status_);
  }

  bool ok() const { return TF_GetCode(status_) == TF_OK; }

  // Refuses the run with `message` unless `holds`. Returns ok().
  bool Require(bool holds, const char* message) {
    if (ok() && !holds) TF_SetStatus(status_, TF_INVALID_ARGUMENT, message);
    return ok();
  }

  int Rank(int input) { return Tensor(input) == nullptr ? -1 : TF_NumDims(inputs_[input]); }
  int64_t Dimension(int input, int at) { return TF_Dim(inputs_[input], at); }
  const float* Input(int input) {
    return Tensor(input) == nullptr ? nullptr : static_cast<const float*>(TF_TensorData(inputs_[input]));
  }
  bool IsVector(int input, int64_t count) { return Rank(input) == 1 && Dimension(input, 0) == count; }
  bool SameShape(int one, int other) {
    if (Rank(one) != Rank(other) || Rank(one) < 0) return false;
    for (int at = 0; at < Rank(one); ++at) {
      if (Dimension(one, at) != Dimension(other, at)) return false;
    }
    return true;
  }

  float* Output(int output, const int64_t* dimensions, int count) {
    int64_t copied[4], floats = 1;
    for (int at = 0; at < count; ++at) floats *= copied[at] = dimensions[at];
    outputs_[output] = TF_AllocateOutput(context_, output, TF_FLOAT, copied, count, floats * sizeof(float));
    return static_cast<float*>(TF_TensorData(outputs_[output]));
  }
  float* Output(int output, int64_t count) { return Output(output, &count, 1); }
  float* OutputLike(int output, int input) {
    int64_t dimensions[4];
    for (int at = 0; at < Rank(input); ++at) dimensions[at] = Dimension(input, at);
    return Output(output, dimensions, Rank(input));
  }

 private:
  TF_Tensor* Tensor(int input) {
    if (inputs_[input] == nullptr && ok()) TF_GetInput(context_, input, &inputs_[input], status_);
    return inputs_[input];
  }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  TF_Tensor* inputs_[kMostTensors] = {};
  TF_Tensor* outputs_[kMostTensors] = {};
};

}  // namespace tinsmith
