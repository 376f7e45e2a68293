//! Example worker kinds: hello, parent, child, template_demo
