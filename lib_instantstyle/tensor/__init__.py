"""What needs torch: pictures, image encoder, adapter, plan, hooks. Knows no WebUI."""
