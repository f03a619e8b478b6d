"""What is it worth? Signed appraisals of valuers and, beside them and never mixed with them, figures of models."""
