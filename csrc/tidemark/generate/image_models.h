// Image classifiers and a segmenter, as in torchvision unless said otherwise.
//
// Each takes a batch of `size` x `size` images and returns the loss.
#pragma once

#include <array>

#include "tidemark/generate/step_builder.h"

namespace tidemark {

using StageDepths = std::array<int, 4>;

// Depths 18, 34, 50, 101 and 152 are He et al. 2016, "Deep residual learning". Every other depth
// from 54 on is the network of Chen et al. 2016 (arXiv 1604.06174, section 5.2; memonger's
// example_resnet.py): conv-bn-act thrice per block, nothing after the sum, blocks shared out as
// 3 : 24 : 36 : 3. A layer is one conv-bn-act or the classifier, so 996 has 330 blocks.
Tensor resnet(StepBuilder& step, int depth, std::int64_t batch, std::int64_t size);
StageDepths deep_resnet_stages(int depth);
Tensor deep_resnet(StepBuilder& step, const StageDepths& stages, std::int64_t batch,
                   std::int64_t size);

// Simonyan and Zisserman 2015. REQUIRES: depth is 11, 13, 16 or 19.
Tensor vgg(StepBuilder& step, int depth, std::int64_t batch, std::int64_t size);

// Huang et al. 2017. REQUIRES: depth is 121, 169 or 201.
Tensor densenet(StepBuilder& step, int depth, std::int64_t batch, std::int64_t size);

// Szegedy et al. 2016, version 3 without the auxiliary classifier.
Tensor inception(StepBuilder& step, std::int64_t batch, std::int64_t size);

// Ronneberger et al. 2015, with padding and batch norm; a class per pixel.
Tensor unet(StepBuilder& step, std::int64_t batch, std::int64_t size);

}  // namespace tidemark
