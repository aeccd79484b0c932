"""Perturbations of whole clips: the robustness study of Won et al. (2020, arXiv:2006.00751)."""
