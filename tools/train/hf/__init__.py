"""The exported form: a Hugging Face model folder with float16 weights in safetensors."""
