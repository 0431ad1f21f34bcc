// VimCuda.cmake links this against LibTorch::cuda to see whether all that it needs is installed.
int main() {}
