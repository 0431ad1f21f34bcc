// Classifies images with a checkpoint of vim-train: classify CHECKPOINT IMAGE...
#include <vim/core/error.h>
#include <vim/train/predictor.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: classify CHECKPOINT IMAGE...\n";
    return 2;
  }
  try {
    const vim::train::Predictor predictor(argv[1]);
    for (int i = 2; i < argc; ++i) {
      std::cout << argv[i] << "\n";
      for (const auto& [label, probability] : predictor.classify(argv[i], /*count=*/3)) {
        std::cout << "  " << label << " " << probability << "\n";
      }
    }
  } catch (const vim::Error& problem) {  // one sentence: a damaged checkpoint, no image, ...
    std::cerr << problem.what() << "\n";
    return problem.exit_code();
  }
}
