"""The virtual machine: image, accelerator, clock, getting code in and results out."""
