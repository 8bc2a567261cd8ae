// Language models and recurrent networks. Each returns the loss.
#pragma once

#include "tidemark/generate/step_builder.h"

namespace tidemark {

struct GptSize {
  int layers = 12;
  std::int64_t width = 768;
  std::int64_t heads = 12;
};

// GPT-2 (Radford et al. 2019) with dropout, vocabulary 50257, tied embedding, `time` tokens.
Tensor gpt2(StepBuilder& step, const GptSize& size, bool has_fused_attention, std::int64_t batch,
            std::int64_t time);

// The network of Chen et al. 2016, section 5.3 (memonger's example_lstm.py) when 4 x 1024: stacked
// LSTM layers unrolled over `time` steps, inputs of 50 numbers, a classifier over 5000 words and a
// loss at every step.
struct LstmSize {
  int layers = 4;
  std::int64_t hidden = 1024;
  std::int64_t inputs = 50;
  std::int64_t classes = 5000;
};
Tensor lstm(StepBuilder& step, const LstmSize& size, std::int64_t batch, std::int64_t time);

// A binary tree LSTM (Tai et al. 2015) over a full tree with that many leaves.
Tensor tree_lstm(StepBuilder& step, int leaves, std::int64_t batch, std::int64_t hidden);

}  // namespace tidemark
